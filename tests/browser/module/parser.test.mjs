// The parser of clients/js by the rules of WHATWG HTML, "Parsing an event stream" and "Interpreting an event stream".

import assert from "node:assert/strict";
import { test } from "node:test";

import { parser } from "../../../clients/js/src/parser.js";

/** What the parser says to these pieces of a stream. */
function read(...pieces) {
  const said = [];
  const feed = parser({
    event: ({ id, type, data }) => said.push([id, type, data]),
    comment: () => said.push("comment"),
    retry: (ms) => said.push(ms),
  });
  pieces.forEach(feed);
  return said;
}

const message = (data, id = "", type = "message") => [id, type, data];

test("each kind of line end ends a line, also across pieces", () => {
  for (const end of ["\n", "\r", "\r\n"]) {
    const text = `data: a${end}data: b${end}${end}data: c${end}${end}`;
    const expected = [message("a\nb"), message("c")];
    assert.deepEqual(read(text), expected, JSON.stringify(end));
    assert.deepEqual(read(...text), expected, JSON.stringify(end));
  }
  assert.deepEqual(read("data: a\r", "\n\r", "\n", "data: b\r\n\r\n"), [message("a"), message("b")]);
  assert.deepEqual(read("data: a\r", "", "\n\n"), [message("a")]);
});

test("fields have an optional space, and may have no value", () => {
  assert.deepEqual(read("data:a\n\ndata:  b\n\ndata\n\ndata\ndata\n\n"), [message("a"), message(" b"), message(""), message("\n")]);
  assert.deepEqual(read("data: a: b\n\n"), [message("a: b")]);
});

test("unknown fields and other cases are ignored", () => {
  assert.deepEqual(read("Data: a\n data: b\nname: c\ndata: d\n\n"), [message("d")]);
});

test("a type counts for its event, an id until another one, and an empty one empties it", () => {
  const text = "event: book\nid: 1\ndata: a\n\ndata: b\n\nid\ndata: c\n\nevent: x\n\ndata: d\n\n";
  assert.deepEqual(read(text), [
    message("a", "1", "book"), message("b", "1"), message("c"), message(undefined, "", "x"), message("d"),
  ]);
});

test("an id with NUL is ignored, and an event without data moves the id only", () => {
  assert.deepEqual(read("id: 1\nid: 2\0\ndata: a\n\nid: 3\n\n"), [message("a", "1"), message(undefined, "3")]);
});

test("an event that the stream breaks off is not one", () => {
  assert.deepEqual(read("id: 1\ndata: a\n\nid: 2\ndata: b\n"), [message("a", "1")]);
});

test("comments and reconnection times; only digits are one", () => {
  assert.deepEqual(read(":\n: text\nretry: 500\nretry: 5s\nretry:\nretry: -1\n"), ["comment", "comment", 500]);
});
