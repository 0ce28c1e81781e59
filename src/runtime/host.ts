/** @file Where ONNX Runtime lives, and the calls that wait for its answers, whatever carries them there. */
import type { TransferListItem } from "node:worker_threads";
import { EspalierError } from "../errors.ts";
import type { CallName, Calls, Failure, Request, Response } from "./protocol.ts";

/** A thread or a process with ONNX Runtime in it. */
export interface RuntimeHost {
  /** False once the host has ended; every call then fails as `RUNTIME_FAILED` or `ABORTED`. */
  readonly isAlive: () => boolean;
  /** Posts a call. Items of `transfer` may be empty here afterwards. */
  readonly call: <K extends CallName>(
    name: K,
    ask: Calls[K]["ask"],
    transfer?: readonly TransferListItem[],
  ) => Promise<Calls[K]["answer"]>;
  /** Ends the host; pending calls fail. */
  readonly terminate: () => Promise<void>;
}

/** What brings requests to a host. */
export interface Carrier {
  readonly post: (request: Request, transfer: readonly TransferListItem[]) => void;
  /** From now on this process waits for the host. */
  readonly ref: () => void;
  /** The host is no reason for this process to stay alive. */
  readonly unref: () => void;
}

interface Pending {
  readonly name: CallName;
  readonly resolve: (answer: Calls[CallName]["answer"]) => void;
  readonly reject: (error: unknown) => void;
}

/** The calls of one host that have no answer yet. */
export class PendingCalls {
  readonly #carrier: Carrier;
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;
  #end: EspalierError | undefined;

  constructor(carrier: Carrier) {
    this.#carrier = carrier;
  }

  /** Whether the host has not ended. */
  readonly isAlive = (): boolean => this.#end === undefined;

  /** The call that waits longest, which is the one at work. */
  get atWork(): CallName | undefined {
    const [first] = this.#pending.values();
    return first?.name;
  }

  /** `call` of a {@link RuntimeHost}. */
  readonly call: RuntimeHost["call"] = (name, ask, transfer = []) =>
    new Promise((resolve, reject) => {
      if (this.#end !== undefined) return reject(this.#end);
      const id = this.#nextId++;
      // `name` and `ask` come from one generic call, so they belong together.
      this.#carrier.post({ id, call: name, ask } as Request, transfer);
      // The host answers `name` with the answer of `name`; the map of pending calls forgets that.
      this.#pending.set(id, { name, resolve: resolve as Pending["resolve"], reject });
      this.#carrier.ref();
    });

  /** Hands an answer to the call that waits for it. */
  settle(response: Response): void {
    const call = this.#pending.get(response.id);
    if (call === undefined) return;
    this.#pending.delete(response.id);
    if (this.#pending.size === 0) this.#carrier.unref();
    if ("failure" in response) call.reject(errorOf(call.name, response.failure));
    else call.resolve(response.answer);
  }

  /** The host is no more: all that is pending and all that comes later fails. The first reason counts. */
  endWith(reason: EspalierError): void {
    this.#end ??= reason;
    for (const { reject } of this.#pending.values()) reject(this.#end);
    this.#pending.clear();
  }
}

/** What ONNX Runtime did when it failed at a call. */
export function doing(call: CallName): string {
  return call.startsWith("open") ? "could not load the model" : "failed while running the network";
}

/** The typed error for what went wrong in the host. */
function errorOf(call: CallName, failure: Failure): EspalierError {
  const { kind, message } = failure;
  if (kind === "provider") {
    const { provider, available } = failure;
    return new EspalierError(
      "PROVIDER_MISSING",
      `The execution provider "${provider}" is not available here: ${message}`,
      {
        hint: `This build of ONNX Runtime knows: ${available.join(", ")}.`,
        data: { provider, available },
      },
    );
  }
  if (kind === "type")
    return new EspalierError("MODEL_UNSUPPORTED", `The network cannot be run here: ${message}`, {
      hint: "Add a Cast, to int8 or float32, say, between such a tensor and the network's border.",
      data: { call, message },
    });
  return new EspalierError("RUNTIME_FAILED", `ONNX Runtime ${doing(call)}: ${message}`, {
    data: { call, message },
  });
}
