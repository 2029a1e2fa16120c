// Judges a token as the hub would, as far as that needs no key: its form, header and claims.

const DETAIL = "https://mercure.rocks/authorization-detail";
/** The names of the claim of Mercure 0.x, in their order. */
const OLDER_CLAIMS = ["https://mercure.rocks/", "mercure"];
/** Fewer characters than any signed token has. */
const LEAST = 41;
const ROLES = { publisher: "publish", subscriber: "subscribe" };

/**
 * What the hub will say to the token: `checks` has what was examined (`good` or `bad`), `roles` the verdict for each
 * role with the first reason against it, or with what it grants. `now` is the hub's time in seconds.
 */
export function judge(token, facts, now) {
  const verdict = { header: undefined, claims: undefined, generation: undefined, checks: [], roles: {} };
  const fatal = readInto(verdict, token, facts);
  if (fatal) {
    verdict.checks.push({ name: "form", good: false, text: fatal });
    for (const role of Object.keys(ROLES)) verdict.roles[role] = { accepted: false, text: fatal };
    return verdict;
  }
  const { header, claims } = verdict;
  const older = generationOf(claims) === "0.x" && facts.generations.includes("0.x");
  verdict.generation = older ? "0.x" : "1.0";
  const check = (name, problem, text) => verdict.checks.push({ name, good: !problem, text: problem || text });
  const issuer = older ? olderIssuer(claims, facts) : facts.issuers.find(({ identifier }) => identifier === claims.iss);
  check("alg", algorithmProblem(header), shown(header.alg));
  check("typ", older ? "" : typeProblem(header, claims), shown(header.typ));
  check("iss", issuer ? "" : issuerProblem(claims, facts), issuerText(claims, issuer));
  const times = older ? timesOfOlder(claims) : claims;
  check("exp", expiryProblem(times, now, older), times.exp === undefined ? "the token never expires" : moment(times.exp));
  if (times.nbf !== undefined) check("nbf", notBeforeProblem(times, now), moment(times.nbf));
  if (facts.maxTokenLifetime !== null) check("lifetime", lifetimeProblem(times, now, facts.maxTokenLifetime), "short enough");
  check("aud", older ? "" : audienceProblem(claims, facts), older ? "not read: a token of Mercure 0.x need not name the hub" : shown(claims.aud));
  const granted = older ? olderGrants(claims) : grants(claims);
  check(older ? "mercure" : "authorization_details", granted.problem, grantText(granted));
  for (const role of Object.keys(ROLES)) verdict.roles[role] = judgeRole(role, verdict, issuer, granted, facts);
  return verdict;
}

function judgeRole(role, { header, claims, checks }, issuer, granted, facts) {
  const key = issuer?.[role];
  const failed = checks.find(({ good }) => !good);
  const refused = (text) => ({ accepted: false, text });
  // Without any subscriber key, no token of a subscriber is read.
  if (role === "subscriber" && !facts.issuers.some((one) => one.subscriber)) {
    return { accepted: true, text: "not read: this hub has no key for subscribers, and serves what is public to all" };
  }
  if (failed) return refused(`${failed.name}: ${failed.text}`);
  if (!key) return refused(`the hub has no key of ${issuer.identifier} for ${role}s`);
  if (!key.includes(header.alg)) return refused(`alg is ${header.alg}, and the key of ${role}s takes ${key.join(", ")}`);
  const topics = granted[ROLES[role]];
  if (topics.length > 0) return { accepted: true, text: `${ROLES[role]} on ${topics.join(", ")}` };
  const isOlder = OLDER_CLAIMS.some((name) => claims[name]) && generationOf(claims) === "0.x" && !facts.generations.includes("0.x");
  const unread = isOlder ? "; its claim mercure is of Mercure 0.x, which this hub does not read" : "";
  if (role === "subscriber") return { accepted: true, text: `public updates only: it grants no topic to subscribe to${unread}` };
  if (facts.publishUngranted) return { accepted: true, text: "public updates only: it grants no topic to publish on" };
  return refused(`403: it grants no topic to publish on${unread}`);
}

/** Splits and decodes the token; returns what is wrong with its form. */
function readInto(verdict, token, facts) {
  if (token.length < LEAST) return `it has ${token.length} characters, fewer than any signed token; paste the whole token`;
  if (token.length > facts.maxTokenBytes) return `it has ${token.length} characters, more than ${facts.maxTokenBytes}`;
  const parts = token.split(".");
  if (parts.length !== 3) return `it has ${parts.length} parts, and a signed token has three, with dots between them`;
  for (const [index, name] of ["header", "claims"].entries()) {
    const bytes = decoded(parts[index]);
    if (!bytes) return `its ${name} are not base64url without padding`;
    const value = object(bytes);
    if (!value) return `its ${name} are not a JSON object`;
    verdict[name] = value;
  }
  return decoded(parts[2]) ? "" : "its signature is not base64url without padding";
}

function decoded(part) {
  if (!/^[\w-]*$/.test(part) || part.length % 4 === 1) return undefined;
  const binary = atob(part.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(binary, (char) => char.charCodeAt(0));
}

function object(bytes) {
  try {
    const value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

function generationOf({ authorization_details: details }) {
  const isMercure = (detail) => isObject(detail) && detail.type === DETAIL;
  return Array.isArray(details) && details.some(isMercure) ? "1.0" : "0.x";
}

function algorithmProblem({ alg, crit }) {
  if (typeof alg !== "string") return "the header names no algorithm";
  if (alg.toLowerCase() === "none") return "the token is not signed";
  return crit === undefined ? "" : "the header has crit, and the hub knows no extension";
}

function typeProblem({ typ }, claims) {
  const bare = typeof typ === "string" ? typ.toLowerCase().replace(/^application\//, "") : undefined;
  if (bare === "at+jwt") return "";
  if (OLDER_CLAIMS.some((name) => claims[name] != null) && generationOf(claims) === "0.x") {
    return "this is a token of Mercure 0.x, and the hub accepts 1.0 only";
  }
  return typ === undefined ? "it is missing, and must be at+jwt (RFC 9068)" : `it is ${shown(typ)}, not at+jwt (RFC 9068)`;
}

function olderIssuer({ iss }, { issuers }) {
  const named = issuers.find(({ identifier }) => identifier === iss);
  return named ?? issuers.find((issuer) => issuer.judgesUnnamed) ?? (issuers.length === 1 ? issuers[0] : undefined);
}

function issuerProblem({ iss }, { issuers }) {
  const trusted = issuers.map(({ identifier }) => identifier).join(", ") || "none";
  if (typeof iss !== "string") return `it is missing; the hub trusts ${trusted}`;
  return `it is ${iss}, which the hub does not trust; it trusts ${trusted}`;
}

function issuerText({ iss }, issuer) {
  if (issuer?.identifier === iss) return iss;
  return `judged by the key of ${issuer?.identifier}`;
}

/** The times of a 0.x token: a string that is a number counts, null is absent, fractions are dropped. */
function timesOfOlder(claims) {
  const times = {};
  for (const name of ["exp", "nbf", "iat"]) {
    const claim = claims[name];
    if (claim === undefined || claim === null) continue;
    const isNumber = typeof claim === "string" && /^-?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(claim);
    const number = isNumber ? Number(claim) : claim;
    times[name] = typeof number === "number" ? Math.floor(number) : number;
  }
  return times;
}

function expiryProblem({ exp }, now, mayBeMissing) {
  if (exp === undefined) return mayBeMissing ? "" : "it is missing; the token must expire";
  if (typeof exp !== "number") return "it is not a number";
  return now < exp ? "" : `the token expired ${duration(now - exp)} ago`;
}

function notBeforeProblem({ nbf }, now) {
  if (typeof nbf !== "number") return "it is not a number";
  return nbf <= now ? "" : `the token is valid in ${duration(nbf - now)} only`;
}

function lifetimeProblem({ exp, iat }, now, most) {
  if (typeof exp !== "number") return `it has no end, and the hub takes ${duration(most)} at most`;
  const begins = typeof iat === "number" && iat <= now + 60 ? iat : now;
  return exp - begins <= most ? "" : `it is ${duration(exp - begins)}, and the hub takes ${duration(most)} at most`;
}

function audienceProblem({ aud }, { audiences }) {
  const received = typeof aud === "string" ? [aud] : aud;
  const wanted = `the hub is ${audiences.join(" or ")}`;
  if (aud === undefined) return `it is missing; ${wanted}`;
  if (!Array.isArray(received) || received.some((one) => typeof one !== "string")) return "it is neither a string nor an array of strings";
  const bare = (url) => url.replace(/^(http:\/\/[^/]*):80\/|^(https:\/\/[^/]*):443\//, "$1$2/");
  const isOwn = (one) => audiences.includes(one) || audiences.includes(bare(one));
  return received.some(isOwn) ? "" : `it is ${received.join(", ")}; ${wanted}`;
}

/** What the details of a 1.0 token grant. */
function grants({ authorization_details: details }) {
  const granted = { publish: [], subscribe: [], problem: "" };
  if (details === undefined || details === null) return granted;
  if (!Array.isArray(details)) return { ...granted, problem: "it is not an array of details" };
  for (const [index, detail] of details.entries()) {
    if (!isObject(detail) || detail.type !== DETAIL) continue;
    const { actions, topics } = detail;
    if (!isList(actions) || actions.some((action) => typeof action !== "string")) {
      return { ...granted, problem: `[${index}].actions is not an array of strings` };
    }
    if (!isList(topics)) return { ...granted, problem: `[${index}].topics is not an array of topics` };
    for (const [place, topic] of topics.entries()) {
      const problem = topicProblem(topic);
      if (problem) return { ...granted, problem: `[${index}].topics[${place}] ${problem}` };
    }
    for (const action of ["publish", "subscribe"]) {
      if (actions.includes(action)) granted[action].push(...topics.map(described));
    }
  }
  return granted;
}

/** What the claim of a 0.x token grants. */
function olderGrants(claims) {
  const granted = { publish: [], subscribe: [], problem: "" };
  const name = OLDER_CLAIMS.find((one) => claims[one] !== undefined && claims[one] !== null);
  if (!name) return granted;
  const claim = claims[name];
  if (!isObject(claim)) return { ...granted, problem: "it is not an object" };
  for (const action of ["publish", "subscribe"]) {
    const list = claim[action] ?? [];
    if (!Array.isArray(list)) return { ...granted, problem: `${action} is not an array of topic selectors` };
    for (const [index, entry] of list.entries()) {
      const problem = typeof entry === "string" ? "" : topicProblem(entry);
      if (problem) return { ...granted, problem: `${action}[${index}] ${problem}` };
    }
    granted[action] = list.map(described);
  }
  return granted;
}

const isList = (value) => Array.isArray(value) && value.length > 0;

function topicProblem(topic) {
  if (!isObject(topic)) return `is ${shown(topic)}, not an object with match`;
  if (typeof topic.match !== "string" || topic.match === "") return "has no match";
  const type = topic.match_type ?? "exact";
  return type === "exact" || type === "urlpattern" ? "" : `has the match_type ${shown(type)}, which is neither exact nor urlpattern`;
}

function described(topic) {
  if (typeof topic === "string") return topic;
  return topic.match_type === "urlpattern" ? `${topic.match} (URL Pattern)` : topic.match;
}

function grantText({ publish, subscribe }) {
  const count = (topics, action) => `${topics.length || "no"} ${topics.length === 1 ? "topic" : "topics"} to ${action}`;
  return `${count(publish, "publish on")}, ${count(subscribe, "subscribe to")}`;
}

const shown = (value) => (typeof value === "string" ? value : (JSON.stringify(value) ?? "missing"));

/** A point in time for readers, of seconds since 1970. */
function moment(seconds) {
  const date = new Date(Number(seconds) * 1000);
  return Number.isNaN(date.getTime()) ? `${seconds}` : date.toISOString().replace(".000Z", "Z");
}

function duration(seconds) {
  const [unit, length] = [["days", 86400], ["hours", 3600], ["minutes", 60]].find(([, one]) => seconds >= 2 * one) ?? ["s", 1];
  return `${Math.round(seconds / length)} ${unit}`;
}
