// Figures of several rounds.

export const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

/** Figures by name, each with a value of every round. */
export class Figures {
    #found = new Map();

    note(name, value) {
        this.#found.set(name, [...(this.#found.get(name) ?? []), value]);
    }

    /** Prints the median of the values of a name, and their range. */
    line(title, name, digits, verdict = () => '') {
        const values = this.#found.get(name);
        const shown = (value) => value.toFixed(digits);
        const range = `${shown(median(values))} (${shown(Math.min(...values))} to ${shown(Math.max(...values))})`;
        console.log(`${title.padEnd(58)} ${range}${verdict(values)}`);
    }
}

const judged = (isMet, aim) => `: ${isMet ? 'meets' : 'MISSES'} ${aim}`;
/** The verdict on a median that must be so much at least, or at most; and on the greatest value. */
export const atLeast = (aim) => (values) => judged(median(values) >= aim, `≥ ${aim}`);
export const atMost = (aim) => (values) => judged(median(values) <= aim, `≤ ${aim}`);
export const neverOver = (aim) => (values) => judged(Math.max(...values) <= aim, `≤ ${aim}`);
