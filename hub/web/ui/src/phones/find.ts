import { call } from "../core/api";
import type { Conversation, Customer, Message, Page } from "../core/protocol";
import type { DemoConfig } from "./config";

const digits = (text: string): string => text.replace(/\D/g, "");

/** The numbers of the demo's phones, as digits: a wa_id has no plus, an SMS sender has. */
export function numbersOf(config: DemoConfig): ReadonlySet<string> {
  const numbers = config.phones.flatMap((phone) => ("number" in phone ? [phone.number] : []));
  return new Set([...numbers, config.customer.number].map(digits).filter(Boolean));
}

/** Whether `message` came from, or goes to, one of those numbers. */
export function isHers(message: Message | null, numbers: ReadonlySet<string>): boolean {
  return numbers.has(digits(message?.address?.external_id ?? ""));
}

/** Her conversation's id, or null while she has never written. */
export async function findConversation(config: DemoConfig): Promise<string | null> {
  if (config.customer.conversation_id) return config.customer.conversation_id;
  const numbers = numbersOf(config);
  for (const phone of config.phones) {
    const id = "number" in phone ? await conversationAt(phone.number, numbers) : null;
    if (id) return id;
  }
  return null;
}

async function conversationAt(
  number: string,
  numbers: ReadonlySet<string>,
): Promise<string | null> {
  const query = new URLSearchParams({ address: number });
  const { items } = await call<Page<Customer>>(`/api/v1/customers?${query}`);
  const her = items.find((customer) =>
    customer.addresses.some((address) => numbers.has(digits(address.external_id))),
  );
  return her?.conversation_id ?? null;
}

export function fetchConversation(id: string): Promise<Conversation> {
  return call<Conversation>(`/api/v1/conversations/${id}`);
}
