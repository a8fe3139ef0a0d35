// localStorage throws in private modes and when full; the page must work without it.

export interface Storage {
  read<T>(key: string, fallback: T): T;
  write(key: string, value: unknown): void;
  drop(key: string): void;
}

export const browserStorage: Storage = {
  read<T>(key: string, fallback: T): T {
    try {
      const text = localStorage.getItem(`onethread.${key}`);
      return text === null ? fallback : (JSON.parse(text) as T);
    } catch {
      return fallback;
    }
  },
  write(key, value) {
    try {
      localStorage.setItem(`onethread.${key}`, JSON.stringify(value));
    } catch {
      // Kept in memory only: the page goes on, a reload forgets.
    }
  },
  drop(key) {
    try {
      localStorage.removeItem(`onethread.${key}`);
    } catch {
      // Nothing was kept, so nothing is left behind.
    }
  },
};

/** A store that lives as long as the page, for private modes and for tests. */
export function memoryStorage(): Storage {
  const kept = new Map<string, string>();
  return {
    read<T>(key: string, fallback: T): T {
      const text = kept.get(key);
      return text === undefined ? fallback : (JSON.parse(text) as T);
    },
    write: (key, value) => void kept.set(key, JSON.stringify(value)),
    drop: (key) => void kept.delete(key),
  };
}
