// node serve.mjs FOLDER PORT HOOK: @tus/server with its file store, as its documentation starts it, and
// a hook that is asked before each upload.
import { FileStore } from "@tus/file-store";
import { Server } from "@tus/server";

const [folder, port, hook] = process.argv.slice(2);
const server = new Server({
  path: "/files",
  datastore: new FileStore({ directory: folder }),
  async onUploadCreate(_request, upload) {
    const answer = await fetch(hook, { method: "POST", body: JSON.stringify({ id: upload.id }) });
    if (!answer.ok) throw { status_code: 403, body: "denied" };
    await answer.arrayBuffer();
    return {};
  },
});
server.listen({ host: "127.0.0.1", port: Number(port) });
