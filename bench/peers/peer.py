"""PyTorch's side of the comparison: a process that answers one JSON line for each that it reads.

Arrays travel as files: NAME.json lists {name, dtype, shape, offset} and NAME.bin holds the bytes.
  {"do": "load", "network", "channels", "size", "classes", "width", "weights", "threads", "double",
   "smooth": ELU and average pools in place of ReLU and maximum pools}
  {"do": "batches", "arrays"}: x0, y0, x1, y1, ...: what the following commands run over, in turn
  {"do": "logits", "to"}: batch 0 in inference form
  {"do": "gradients", "to"}: of the first batch; writes them, and the running statistics after it
  {"do": "train", "steps", "rate", "momentum"}: answers the losses
  {"do": "time", "steps", "rate", "momentum"}: answers the milliseconds of every step
  {"do": "begin", "train", "test": CIFAR-10 files, "fit": numbers of the samples to train on, "batch",
   "mean", "std", "momentum", "decay", "seed", "state": a file to go on from}: answers the epochs done
  {"do": "epoch", "rates": of its steps}: answers mean loss and accuracy
  {"do": "predict"}: answers labels and predictions of the test files
  {"do": "memory"}: answers the peak resident bytes, and those before PyTorch was asked anything
"""
import json
import os
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F

from networks import NETWORKS, Form
from recipe import Recipe


def resident(key):
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith(key):
                return int(line.split()[1]) * 1024
    return 0


def read_arrays(path):
    raw = np.fromfile(path + ".bin", dtype=np.uint8)
    with open(path + ".json") as file:
        entries = json.load(file)
    arrays = {}
    for entry in entries:
        dtype = np.dtype(entry["dtype"])
        count = int(np.prod(entry["shape"], dtype=np.int64))
        flat = np.frombuffer(raw, dtype, count, entry["offset"])
        arrays[entry["name"]] = flat.reshape(entry["shape"])
    return arrays


def write_arrays(path, arrays):
    entries, offset = [], 0
    with open(path + ".bin", "wb") as file:
        for name, array in arrays.items():
            array = np.ascontiguousarray(array)
            entry = {"name": name, "dtype": array.dtype.name, "shape": array.shape, "offset": offset}
            entries.append(entry)
            file.write(array.tobytes())
            offset += array.nbytes
    with open(path + ".json", "w") as file:
        json.dump(entries, file)


class Peer:
    def __init__(self):
        self.at_start = resident("VmRSS")
        self.optimizer = None

    def load(self, ask):
        torch.set_num_threads(ask["threads"])
        self.dtype = torch.float64 if ask["double"] else torch.float32
        Form.set_smooth(ask["smooth"])
        make = NETWORKS[ask["network"]]
        self.net = make(ask["channels"], ask["size"], ask["classes"], ask["width"]).to(self.dtype)
        weights = {
            name: torch.from_numpy(array.copy()).to(self.dtype)
            for name, array in read_arrays(ask["weights"]).items()
        }
        own = {name for name in self.net.state_dict() if not name.endswith("num_batches_tracked")}
        if own != set(weights):
            raise ValueError(f"parameters differ: {sorted(own ^ set(weights))}")
        self.net.load_state_dict(weights, strict=False)
        self.optimizer = None
        return {
            "version": torch.__version__,
            "threads": torch.get_num_threads(),
            "parameters": sum(p.numel() for p in self.net.parameters()),
        }

    def batches(self, ask):
        arrays = read_arrays(ask["arrays"])
        count = len(arrays) // 2
        self.data = [
            (
                torch.from_numpy(arrays[f"x{i}"].copy()).to(self.dtype),
                torch.from_numpy(arrays[f"y{i}"].copy()).to(torch.int64),
            )
            for i in range(count)
        ]
        self.at = 0
        return {"count": count}

    def loss_of(self, index):
        x, y = self.data[index % len(self.data)]
        return F.cross_entropy(self.net(x), y)

    def logits(self, ask):
        self.net.eval()
        with torch.no_grad():
            write_arrays(ask["to"], {"logits": self.net(self.data[0][0]).numpy()})
        return {}

    def gradients(self, ask):
        self.net.train()
        self.net.zero_grad(set_to_none=True)
        loss = self.loss_of(0)
        loss.backward()
        out = {name: p.grad.numpy() for name, p in self.net.named_parameters()}
        for name, buffer in self.net.named_buffers():
            if not name.endswith("num_batches_tracked"):
                out[name] = buffer.numpy()
        write_arrays(ask["to"], out)
        return {"loss": loss.item()}

    def step(self, ask):
        if self.optimizer is None:
            self.net.train()
            self.optimizer = torch.optim.SGD(
                self.net.parameters(), lr=ask["rate"], momentum=ask["momentum"]
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss_of(self.at)
        loss.backward()
        self.optimizer.step()
        self.at += 1
        return loss.item()

    def train(self, ask):
        return {"losses": [self.step(ask) for _ in range(ask["steps"])]}

    def time(self, ask):
        times = []
        for _ in range(ask["steps"]):
            start = time.perf_counter()
            self.step(ask)
            times.append(1000 * (time.perf_counter() - start))
        return {"times": times}

    def begin(self, ask):
        self.recipe = Recipe(self.net, ask)
        return {"epochs": self.recipe.epochs}

    def epoch(self, ask):
        return self.recipe.epoch(ask["rates"])

    def predict(self, _):
        return self.recipe.predict()

    def memory(self, _):
        return {"peak": resident("VmHWM"), "start": self.at_start}


def main():
    # What libraries print must not come between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    peer = Peer()
    for line in sys.stdin:
        ask = json.loads(line)
        try:
            answer = getattr(peer, ask["do"])(ask)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


main()
