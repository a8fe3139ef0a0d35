import { call } from "../core/api";
import type { Conversation, Customer, Message, Page } from "../core/protocol";
import type { DemoConfig, Person } from "./config";

const digits = (text: string): string => text.replace(/\D/g, "");

/** The ids of a person's phones, as digits: a wa_id has no plus, an SMS sender has. */
export function numbersOf(config: DemoConfig, person: Person = ""): ReadonlySet<string> {
  const numbers = config.phones.flatMap((phone) =>
    phone.person === person && "number" in phone ? [phone.number] : [],
  );
  const own = person === "" ? [config.customer.number] : [];
  return new Set([...numbers, ...own].map(digits).filter(Boolean));
}

/** Whether `message` came from, or goes to, one of those numbers. */
export function isHers(message: Message | null, numbers: ReadonlySet<string>): boolean {
  return numbers.has(digits(message?.address?.external_id ?? ""));
}

/** The person's conversation's id, or null while that phone has never written. */
export async function findConversation(
  config: DemoConfig,
  person: Person = "",
): Promise<string | null> {
  if (person === "" && config.customer.conversation_id) return config.customer.conversation_id;
  const numbers = numbersOf(config, person);
  for (const phone of config.phones) {
    const asked = phone.person === person && "number" in phone;
    const id = asked ? await conversationAt(phone.number, numbers) : null;
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
