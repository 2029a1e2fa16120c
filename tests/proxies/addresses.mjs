// The services of a cluster, and the addresses of the loopback network that they have in place of their names.

const NAMES = ["hub", "redis", "sentinel", "postgres"].flatMap((name) => [1, 2, 3].map((number) => `${name}${number}`));

/** The names of the services, and an address for each that no other test has. */
export function addresses() {
  const byte = () => 1 + Math.floor(Math.random() * 250);
  const network = `127.${byte()}.${byte()}`;
  return Object.fromEntries(NAMES.map((name, index) => [name, `${network}.${index + 10}`]));
}

/** A text with addresses in place of names. */
export const placed = (text, all) => text.replace(/\b(?:hub|redis|sentinel|postgres)[123]\b/g, (name) => all[name]);
