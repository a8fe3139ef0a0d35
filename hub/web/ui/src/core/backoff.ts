export interface Backoff {
  /** Milliseconds to wait before the next try; each call counts as one failure. */
  next(): number;
  /** Forget the failures: something worked. */
  reset(): void;
}

/** Doubles from `first` to `most` ms with full jitter, so that a restarted hub is not
 * met by every page in the same instant. Never less than a fifth of the step. */
export function backoff(first = 500, most = 30_000, random: () => number = Math.random): Backoff {
  let step = first;
  return {
    next() {
      const wait = step * (0.2 + 0.8 * random());
      step = Math.min(step * 2, most);
      return Math.round(wait);
    },
    reset() {
      step = first;
    },
  };
}

/** Resolves after `ms`, or at once when the browser says it is online again, the page is
 * shown again, or `signal` aborts. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const shown = () => document.visibilityState === "visible" && done();
    const done = () => {
      clearTimeout(timer);
      removeEventListener("online", done);
      document.removeEventListener("visibilitychange", shown);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    addEventListener("online", done);
    document.addEventListener("visibilitychange", shown);
    signal?.addEventListener("abort", done);
    if (signal?.aborted) done();
  });
}
