// Circles in a graph of imports (Tarjan's strongly connected components).

/** The groups of at least two files that reach each other, each sorted; the largest first. */
export function circles(imports) {
  const next = new Map();
  for (const { from, to } of imports) {
    if (!next.has(from)) next.set(from, []);
    next.get(from).push(to);
  }
  const state = new Map();
  const stack = [];
  const groups = [];
  const visit = (file) => {
    const mine = { order: state.size, lowest: state.size, open: true };
    state.set(file, mine);
    stack.push(file);
    for (const to of next.get(file) ?? []) {
      if (!state.has(to)) mine.lowest = Math.min(mine.lowest, visit(to).lowest);
      else if (state.get(to).open) mine.lowest = Math.min(mine.lowest, state.get(to).order);
    }
    if (mine.lowest === mine.order) {
      const group = stack.splice(stack.indexOf(file));
      for (const each of group) state.get(each).open = false;
      if (group.length > 1) groups.push(group.sort());
    }
    return mine;
  };
  for (const file of next.keys()) if (!state.has(file)) visit(file);
  return groups.sort((a, b) => b.length - a.length);
}

/** The imports between the files of a group. */
export function within(imports, group) {
  const members = new Set(group);
  return imports.filter(({ from, to }) => members.has(from) && members.has(to));
}

/** A shortest circle of a group, as its imports in order. */
export function shortest(imports, group) {
  const inside = within(imports, group);
  let best;
  for (const start of group) {
    const cameBy = new Map();
    const queue = [start];
    for (const file of queue) {
      for (const each of inside) {
        if (each.from !== file || cameBy.has(each.to)) continue;
        cameBy.set(each.to, each);
        queue.push(each.to);
      }
    }
    const steps = [];
    for (let file = start; steps.length === 0 || file !== start; file = steps[0].from) steps.unshift(cameBy.get(file));
    if (!best || steps.length < best.length) best = steps;
  }
  return best;
}
