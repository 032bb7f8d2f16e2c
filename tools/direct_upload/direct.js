// Makes file inputs with data-minio-router upload into the bucket by themselves. docs/direct-upload.md says how.

import AwsS3 from "@uppy/aws-s3";
import Uppy from "@uppy/core";
import { Kept, clean } from "./kept.js";

const SELECTOR = "input[type=file][data-minio-router]";
const AHEAD = 50; // parts that one answer has links for
const known = new WeakMap();

// A site's style for all buttons would show what has the attribute alone
function see(element, shown) {
  element.hidden = !shown;
  element.style.display = shown ? "" : "none";
}

class DirectInput {
  constructor(input) {
    this.input = input;
    this.told = JSON.parse(input.dataset.minioRouter);
    this.kept = new Kept(this.told.keep, input.name);
    this.running = null;
    this.makeElements();
    input.addEventListener("change", () => this.choose(input.files[0]));
    this.box.addEventListener("dragover", (event) => event.preventDefault());
    this.box.addEventListener("drop", (event) => this.drop(event));
    this.cancel.addEventListener("click", () => this.stop());
    this.retry.addEventListener("click", () => this.choose(this.file));
    this.remove.addEventListener("click", () => this.discard());
    if (this.told.receipt) this.done(this.told.receipt, this.told.name);
    else this.goOn();
  }

  makeElements() {
    const make = (tag, attributes = {}) => Object.assign(document.createElement(tag), attributes);
    const button = (text) => make("button", { type: "button", textContent: this.told.text[text] });
    const { input } = this;
    const there = input.parentElement.querySelector(`input[type=hidden][name="${CSS.escape(input.name)}"]`);
    this.receipt = there ?? make("input", { type: "hidden", name: input.name });
    this.receipt.disabled = true;
    this.box = make("div", { className: "minio-router-direct" });
    this.bar = make("progress", { max: 1, value: 0 });
    this.bar.setAttribute("aria-label", this.told.text.progress);
    this.status = make("span");
    this.status.setAttribute("aria-live", "polite");
    [this.cancel, this.retry, this.remove] = ["cancel", "retry", "remove"].map(button);
    input.before(this.box);
    this.box.append(input, this.receipt, this.bar, this.status, this.cancel, this.retry, this.remove);
  }

  // After a reload
  async goOn() {
    this.show("drop");
    const [restored] = this.input.files; // Firefox does that
    const file = restored ?? (await this.kept.file());
    if (this.running) return;
    if (file && this.kept.upload(file)) this.choose(file);
    else this.kept.release();
  }

  // What the user does

  drop(event) {
    const { files } = event.dataTransfer;
    if (!files.length) return;
    event.preventDefault();
    this.input.files = files;
    this.input.dispatchEvent(new Event("change", { bubbles: true }));
  }

  async choose(file) {
    const again = file && this.kept.upload(file);
    const forgotten = again ? this.halt() : this.forget();
    if (!file || file.size === 0) {
      this.plain(); // an empty file takes the ordinary way, and Django says what is wrong
      return;
    }
    this.file = file;
    this.takeName();
    const run = { stopped: false };
    this.running = run;
    this.progress(0);
    try {
      await forgotten;
      const receipt = await this.upload(file, run, again);
      if (run.stopped) return;
      this.running = null;
      this.done(receipt, file.name);
      this.tell("done", { name: file.name, size: file.size, receipt });
    } catch (error) {
      if (run.stopped) return;
      this.running = null;
      this.show("failed", { error: error.message }, [this.retry, this.remove]);
      this.tell("error", { name: file.name, message: error.message });
    }
    sendWaiting(this.input.form, this);
  }

  stop() {
    const { name } = this.file;
    this.input.value = "";
    this.forget();
    this.plain();
    this.show("stopped", { name });
    sendWaiting(this.input.form, this);
  }

  discard() {
    this.input.value = "";
    this.forget();
    this.plain();
  }

  // Uploading

  async begin({ name, type, size }, again) {
    if (again && (await this.kept.hold({ ifAvailable: true })) !== false) {
      try {
        return { ...again, stored: (await this.ask("parts", { upload: again.upload })).parts };
      } catch {
        await this.kept.forget(); // it is over, so it begins anew
      }
    }
    return this.ask("begin", { ticket: this.told.ticket, name, type, size });
  }

  async upload(file, run, again) {
    const begun = await this.begin(file, again);
    this.begun = begun;
    const links = new Map((begun.parts ?? []).map((part) => [part.number, part]));
    if (run.stopped) return this.ask("abort", { upload: begun.upload });
    if (begun.part_size && !begun.stored) this.kept.remember(file, begun);
    let receipt = null;
    const uppy = new Uppy({ logger: { debug() {}, warn() {}, error() {} } });
    run.uppy = uppy;
    const complete = async (etags) => {
      receipt = (await this.ask("complete", { upload: begun.upload, etags })).receipt;
    };
    uppy.use(AwsS3, {
      limit: 4,
      shouldUseMultipart: Boolean(begun.part_size),
      getChunkSize: () => begun.part_size,
      getUploadParameters: () => ({ method: "PUT", url: begun.url, headers: begun.headers }),
      createMultipartUpload: () => ({ key: "direct", uploadId: "direct" }),
      signPart: async (_, { partNumber }) => {
        const link = await this.link(begun, links, partNumber, Math.ceil(file.size / begun.part_size));
        return { method: "PUT", url: link.url, headers: link.headers };
      },
      listParts: async () => {
        const { parts } = await this.ask("parts", { upload: begun.upload });
        return parts.map(({ number, size, etag }) => ({ PartNumber: number, Size: size, ETag: etag }));
      },
      completeMultipartUpload: async (_, { parts }) => {
        await complete(parts.sort((a, b) => a.PartNumber - b.PartNumber).map((part) => part.ETag));
        return { location: "" };
      },
      abortMultipartUpload: () => {},
    });
    uppy.on("upload-progress", (_, { bytesUploaded }) => this.progress(bytesUploaded));
    const id = uppy.addFile({ name: file.name, type: file.type, data: file });
    if (begun.stored) uppy.setFileState(id, { s3Multipart: { key: "direct", uploadId: "direct" } });
    const result = await uppy.upload();
    if (run.stopped) return null;
    if (result.failed.length) throw new Error(result.failed[0].error || this.told.text.network);
    if (!begun.part_size) await complete(null);
    uppy.destroy();
    await this.kept.forget();
    return receipt;
  }

  async link(begun, links, number, count) {
    if (!links.has(number)) {
      const wanted = [];
      for (let next = number; next <= count && wanted.length < AHEAD; next += 1) {
        if (!links.has(next)) wanted.push(next);
      }
      const asked = this.ask("sign", { upload: begun.upload, parts: wanted });
      for (const each of wanted) {
        links.set(each, asked.then(({ parts }) => parts.find((part) => part.number === each)));
      }
      asked.catch(() => wanted.forEach((each) => links.delete(each)));
    }
    return links.get(number);
  }

  async ask(step, data) {
    const token = this.input.form?.querySelector("[name=csrfmiddlewaretoken]")?.value ?? "";
    const request = {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRFToken": token },
      body: JSON.stringify({ step, ...data }),
    };
    for (let pause = 500; ; pause *= 2) {
      let answer;
      try {
        answer = await fetch(this.told.url, request);
      } catch {
        answer = { status: 503, json: async () => ({ error: this.told.text.network }) };
      }
      if (answer.ok) return answer.json();
      if (answer.status < 500 || pause > 8000) {
        const said = await answer.json().catch(() => ({}));
        throw new Error(said.error ?? `${answer.status}`);
      }
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }

  halt() {
    if (!this.running) return;
    this.running.stopped = true;
    this.running.uppy?.destroy();
    this.running = null;
  }

  // Remove what was uploaded, whole or in part
  async forget() {
    const { begun } = this;
    const receipt = this.receipt.disabled ? "" : this.receipt.value;
    this.halt();
    this.begun = null;
    const forgotten = this.kept.forget();
    if (begun || receipt) {
      this.receipt.value = "";
      await this.ask("abort", begun ? { upload: begun.upload } : { receipt }).catch(() => {});
    }
    await forgotten;
  }

  // What is seen

  takeName() {
    this.input.removeAttribute("name");
    this.receipt.disabled = false;
    this.receipt.value = "";
  }

  plain() {
    this.input.name = this.receipt.name;
    this.receipt.disabled = true;
    this.receipt.value = "";
    this.show("drop");
  }

  done(receipt, name) {
    this.takeName();
    this.receipt.value = receipt;
    this.show("done", { name }, [this.remove]);
  }

  progress(bytes) {
    const { name, size } = this.file;
    const share = Math.min(bytes / size, 1);
    // A screen reader hears each tenth; the bar moves on.
    this.show("uploading", { name, percent: Math.floor(share * 10) * 10 }, [this.cancel]);
    this.bar.value = share;
    this.tell("progress", { name, bytes, size });
  }

  show(text, values = {}, buttons = []) {
    const all = { name: this.file?.name ?? "", ...values };
    const said = this.told.text[text].replace(/{(\w+)}/g, (_, key) => all[key]);
    if (this.status.textContent !== said) this.status.textContent = said;
    see(this.bar, text === "uploading");
    for (const button of [this.cancel, this.retry, this.remove]) see(button, buttons.includes(button));
  }

  tell(what, detail) {
    this.input.dispatchEvent(new CustomEvent(`minio-router:${what}`, { bubbles: true, detail }));
  }
}

// The form waits for its uploads

const waiting = new WeakMap();

function inputsOf(form) {
  return [...form.querySelectorAll("input[type=file]")].map((input) => known.get(input)).filter(Boolean);
}

document.addEventListener("submit", (event) => {
  const running = inputsOf(event.target).filter((each) => each.running);
  if (!running.length) return;
  event.preventDefault();
  waiting.set(event.target, event.submitter ?? null);
  for (const each of running) each.status.textContent = each.told.text.waiting;
});

function sendWaiting(form, last) {
  if (!form || !waiting.has(form) || inputsOf(form).some((each) => each.running)) return;
  const submitter = waiting.get(form);
  waiting.delete(form);
  if (last.receipt.value) form.requestSubmit(submitter);
}

// Inputs of the page, and those that come later, as an admin's inline

function upgrade(root) {
  const found = root.matches?.(SELECTOR) ? [root] : root.querySelectorAll?.(SELECTOR) ?? [];
  for (const input of found) {
    if (!known.has(input) && !input.name.includes("__prefix__")) {
      known.set(input, null);
      known.set(input, new DirectInput(input));
    }
  }
}

function start() {
  const first = document.querySelector(SELECTOR);
  if (first) clean(JSON.parse(first.dataset.minioRouter).keep.owner).catch(() => {});
  upgrade(document);
  const observer = new MutationObserver((changes) => {
    for (const change of changes) for (const node of change.addedNodes) upgrade(node);
  });
  observer.observe(document.body, { childList: true, subtree: true });
}

if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
else start();
