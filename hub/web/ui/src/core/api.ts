export type Trouble = "offline" | "login" | "busy" | "refused";

/** A call that did not work. `trouble` says what a person can do about it; `detail` is the
 * server's own sentence, when it gave one. */
export class CallFailed extends Error {
  constructor(
    readonly trouble: Trouble,
    readonly status: number,
    readonly detail: string,
    /** The hub's word for the reason, such as an error class. */
    readonly code = "",
  ) {
    super(detail || trouble);
  }

  /** The same call may work later, unchanged. */
  get passing(): boolean {
    return this.trouble === "offline" || this.trouble === "busy";
  }
}

export function troubleOf(status: number): Trouble {
  if (status === 401) return "login";
  if (status === 408 || status === 425 || status === 429 || status >= 500) return "busy";
  return "refused";
}

/** What a problem document of the hub, or a stand-in's own answer, says. */
async function problemOf(answer: Response): Promise<[detail: string, code: string]> {
  try {
    const said = (await answer.json()) as Record<string, unknown>;
    const words = said["detail"] ?? said["title"] ?? said["error"];
    return [typeof words === "string" ? words : "", String(said["code"] ?? "")];
  } catch {
    return ["", ""];
  }
}

interface Call {
  method?: "GET" | "POST";
  body?: unknown;
  /** Makes a repeated POST harmless. */
  key?: string;
  signal?: AbortSignal;
  /** Milliseconds until a silent server counts as away. */
  patience?: number;
}

/** One same-origin JSON call. Raises CallFailed; an aborted signal raises the browser's
 * AbortError unchanged. */
export async function call<T>(path: string, options: Call = {}): Promise<T> {
  const { method, body, key, signal, patience = 15_000 } = options;
  const verb = method ?? (body === undefined ? "GET" : "POST");
  const headers: Record<string, string> = { Accept: "application/json" };
  if (verb !== "GET") headers["X-Onethread-CSRF"] = "1";
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (key !== undefined) headers["Idempotency-Key"] = key;
  let answer: Response;
  try {
    answer = await fetch(path, {
      method: verb,
      headers,
      credentials: "same-origin",
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.any([AbortSignal.timeout(patience), ...(signal ? [signal] : [])]),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new CallFailed("offline", 0, "");
  }
  if (!answer.ok) {
    throw new CallFailed(troubleOf(answer.status), answer.status, ...(await problemOf(answer)));
  }
  if (answer.status === 204) return undefined as T;
  return (await answer.json()) as T;
}
