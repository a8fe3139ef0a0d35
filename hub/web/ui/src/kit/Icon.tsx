import { marks, strokes, type IconName } from "./icons";

/** Decoration only: the words beside it, or its button's label, carry the meaning. */
export function Icon({ name, class: className = "" }: { name: IconName; class?: string }) {
  const filled = name in marks;
  return (
    <svg class={`icon ${className}`} viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      {filled ? (
        <path d={marks[name as keyof typeof marks]} fill="currentColor" />
      ) : (
        <path d={strokes[name as keyof typeof strokes]} class="stroke" />
      )}
    </svg>
  );
}
