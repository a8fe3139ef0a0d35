import type { ComponentChildren } from "preact";
import { useRef } from "preact/hooks";
import { Icon } from "./Icon";

interface Props {
  id: string;
  label: string;
  placeholder: string;
  value: string;
  onValue: (value: string) => void;
  onSend: () => void;
  sendLabel: string;
  /** Show the label on the button; else it is the button's name only. */
  wordy?: boolean;
  disabled?: boolean;
  describedBy?: string;
  onKeyDown?: (event: KeyboardEvent) => void;
  children?: ComponentChildren;
}

export const touch = () => matchMedia("(pointer: coarse)").matches;

/** Text and its send button. Enter sends, Shift+Enter breaks the line; on touch screens
 * Enter breaks the line; Enter that ends an input method's composition does neither. */
export function MessageBox(props: Props) {
  const field = useRef<HTMLTextAreaElement>(null);
  const empty = props.value.trim() === "";
  const send = () => {
    if (empty || props.disabled) return;
    props.onSend();
    field.current?.focus();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    props.onKeyDown?.(event);
    if (event.key !== "Enter" || event.isComposing || event.shiftKey) return;
    if (touch() && !event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    send();
  };
  return (
    <form
      class="box"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      {props.children}
      <label class="unseen" for={props.id}>
        {props.label}
      </label>
      <textarea
        ref={field}
        id={props.id}
        rows={1}
        dir="auto"
        placeholder={props.placeholder}
        value={props.value}
        aria-describedby={props.describedBy}
        onInput={(event) => props.onValue(event.currentTarget.value)}
        onKeyDown={onKeyDown}
      />
      <button
        type="submit"
        class={props.wordy ? "send wordy" : "send"}
        aria-label={props.wordy ? undefined : props.sendLabel}
        aria-disabled={empty || props.disabled}
      >
        <Icon name="send" />
        {props.wordy && props.sendLabel}
      </button>
    </form>
  );
}
