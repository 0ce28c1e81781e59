"""CIFAR-10 from scratch, as one would write it in PyTorch: images, crops and flips, epochs, and states
from which an interrupted run goes on."""
import os

import numpy as np
import torch
import torch.nn.functional as F

PAD = 4
SIDE = 32


def read_cifar(paths):
    """Images [N, 3, 32, 32] and labels [N] of binary files: a label and 3072 bytes for each."""
    records = np.concatenate([np.fromfile(path, np.uint8).reshape(-1, 3073) for path in paths])
    return records[:, 1:].reshape(-1, 3, SIDE, SIDE), records[:, 0].astype(np.int64)


class Recipe:
    def __init__(self, net, ask):
        self.net, self.batch, self.seed, self.path = net, ask["batch"], ask["seed"], ask["state"]
        images, labels = read_cifar(ask["train"])
        self.images, self.labels = images[ask["fit"]], labels[ask["fit"]]
        self.test = read_cifar(ask["test"])
        self.mean, self.std = (
            torch.tensor(ask[key], dtype=torch.float32).reshape(1, 3, 1, 1) for key in ["mean", "std"]
        )
        self.optimizer = torch.optim.SGD(
            net.parameters(), lr=0, momentum=ask["momentum"], weight_decay=ask["decay"]
        )
        self.epochs = 0
        if os.path.exists(self.path):
            state = torch.load(self.path)
            net.load_state_dict(state["net"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.epochs = state["epochs"]

    def inputs(self, images):
        return (torch.from_numpy(images).float() / 255 - self.mean) / self.std

    def augmented(self, images, random):
        count = len(images)
        padded = np.pad(images, [(0, 0), (0, 0), (PAD, PAD), (PAD, PAD)])
        tops, lefts = random.integers(0, 2 * PAD + 1, (2, count))
        flips = random.integers(0, 2, count)
        out = np.empty_like(images)
        for i, (top, left, flip) in enumerate(zip(tops, lefts, flips)):
            window = padded[i, :, top : top + SIDE, left : left + SIDE]
            out[i] = window[:, :, ::-1] if flip else window
        return out

    def epoch(self, rates):
        """One step for each rate; the mean loss and accuracy over the batches as they were fed."""
        random = np.random.default_rng([self.seed, self.epochs])
        order = random.permutation(len(self.images))
        losses, correct = 0.0, 0
        self.net.train()
        for step, rate in enumerate(rates):
            chosen = order[step * self.batch : (step + 1) * self.batch]
            x = self.inputs(self.augmented(self.images[chosen], random))
            y = torch.from_numpy(self.labels[chosen])
            self.optimizer.param_groups[0]["lr"] = rate
            self.optimizer.zero_grad(set_to_none=True)
            logits = self.net(x)
            loss = F.cross_entropy(logits, y)
            loss.backward()
            self.optimizer.step()
            losses += loss.item()
            correct += (logits.argmax(1) == y).sum().item()
        self.epochs += 1
        state = {"net": self.net.state_dict(), "optimizer": self.optimizer.state_dict()}
        torch.save({**state, "epochs": self.epochs}, self.path + ".tmp")
        os.replace(self.path + ".tmp", self.path)
        return {"loss": losses / len(rates), "accuracy": correct / len(rates) / self.batch}

    def predict(self):
        images, labels = self.test
        self.net.eval()
        with torch.no_grad():
            parts = [
                self.net(self.inputs(images[at : at + 250])).argmax(1)
                for at in range(0, len(images), 250)
            ]
        return {"labels": labels.tolist(), "predicted": torch.cat(parts).tolist()}
