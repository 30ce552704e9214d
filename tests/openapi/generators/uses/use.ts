// What a user does with openapi-typescript and openapi-fetch: use.ts URL EMAIL PASSWORD FILE.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import createClient from "openapi-fetch";
import type { paths } from "./schema";

const [url = "", email = "", password = "", path = ""] = process.argv.slice(2);
const content = readFileSync(path);
const name = basename(path);
const nobody = createClient<paths>({ baseUrl: url });
const { data: signedIn } = await nobody.POST("/tokens", { body: { email, password } });
assert(signedIn);
const user = createClient<paths>({
  baseUrl: url,
  headers: { Authorization: `Bearer ${signedIn.token}` },
});
const { data: made } = await user.POST("/things", { body: { name: "generated" } });
assert(made?.things[0]);
const device = createClient<paths>({
  baseUrl: url,
  headers: { Authorization: `Thing ${made.things[0].key}` },
});
const form = new FormData();
form.append("file", new Blob([content]), name);
const { data: stored } = await device.POST("/files", {
  body: { file: "" },
  bodySerializer: () => form,
});
assert.equal(stored?.name, name);
const { data: listed } = await device.GET("/files");
assert.deepEqual(listed?.files.map((file) => file.name), [name]);
const at = { params: { path: { name } }, parseAs: "arrayBuffer" } as const;
const { data: whole } = await device.GET("/files/{name}", at);
assert(whole && content.equals(Buffer.from(whole)));
const ranged = { ...at, params: { ...at.params, header: { Range: "bytes=8-11" } } };
const { data: part } = await device.GET("/files/{name}", ranged);
assert(part && content.subarray(8, 12).equals(Buffer.from(part)));
