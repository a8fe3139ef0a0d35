/** What the server wrote into the page; an empty object when it wrote nothing. */
export function readBoot<T extends object>(): Partial<T> {
  const text = document.getElementById("boot")?.textContent;
  return text ? (JSON.parse(text) as Partial<T>) : {};
}
