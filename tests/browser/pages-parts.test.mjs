// The parts of the page that need no browser: the parser of streams, by the HTML standard, and the indentation of JSON.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

/** Imports a module of the page, whose folder says nothing to Node.js about modules. */
const part = (name) => {
  const text = readFileSync(new URL(`../../crates/hub/pages/${name}`, import.meta.url), "utf8");
  return import(`data:text/javascript,${encodeURIComponent(text)}`);
};
const { Parser } = await part("sse.js");
const { pretty } = await part("json.js");

/** The events of a stream that arrives in parts. */
function events(...parts) {
  const seen = [];
  const parser = new Parser((event, isEmpty) => seen.push(isEmpty ? { retry: event.retry } : event));
  for (const one of parts) parser.feed(one);
  return { seen, comment: parser.comment };
}

test("events are the same however the stream is cut", () => {
  const stream = "\ufeff: hello\r\nid: 1\rdata: a\ndata:b\r\n\r\nevent: x\nid\ndata\n\nretry: 5\n\nid: 2\0\nretry: no\ndata:  c\n\ndata: lost";
  const expected = [
    { id: "1", type: "", data: "a\nb", retry: undefined },
    { id: "", type: "x", data: "", retry: undefined },
    { retry: 5 },
    { id: "", type: "", data: " c", retry: undefined },
  ];
  assert.deepEqual(events(stream).seen, expected);
  assert.deepEqual(events(...stream).seen, expected);
  for (let at = 0; at < stream.length; at += 1) {
    assert.deepEqual(events(stream.slice(0, at), stream.slice(at)).seen, expected, `cut at ${at}`);
  }
});

test("the last comment is what the hub says at the end", () => {
  assert.equal(events("data: a\n\n: going\n:\nretry: 1\n\n").comment, "going");
  assert.equal(events(": before\n\ndata: a\n\n:\n").comment, "");
});

test("JSON is indented as it is written", () => {
  assert.equal(pretty(' {"a":[1,2.50,{"b":"x, [y]: \\"z\\""}],"a":{},"c":[ ]}'), `{
  "a": [
    1,
    2.50,
    {
      "b": "x, [y]: \\"z\\""
    }
  ],
  "a": {},
  "c": []
}`);
  for (const other of ["1", "text", "[1", '"a"', "{a:1}"]) assert.equal(pretty(other), undefined, other);
  assert.equal(pretty("[".repeat(1000) + "]".repeat(1000)), undefined);
});
