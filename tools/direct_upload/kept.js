// What stays on the visitor's computer while a large upload runs, so that it outlives a reload: in localStorage
// what tells of the upload, and in IndexedDB the file. docs/direct-upload.md says for how long, and for whom.

const PREFIX = "minio-router:";
const FILES = "files";
const PATIENCE = 3000; // milliseconds that a page may take to end after the next one began

export class Kept {
  constructor({ owner, upload, life, max_size }, name) {
    this.key = `${PREFIX}${owner}:${upload}:${location.pathname}${location.search}:${name}`;
    this.life = life * 1000;
    this.maxSize = max_size;
    this.held = null;
    this.letGo = null;
    this.writing = null;
  }

  // Return the upload that was begun with this very file, as far as one can tell
  upload({ name, size, lastModified }) {
    const entry = read(this.key);
    const same = entry && entry.name === name && entry.size === size && entry.lastModified === lastModified;
    return same ? { upload: entry.upload, part_size: entry.part_size } : null;
  }

  async remember(file, { upload, part_size }) {
    const locked = await this.hold({ ifAvailable: true });
    if (locked === false) return; // another page of this form has an upload
    const { name, size, lastModified } = file;
    const others = entries().filter(([key]) => key !== this.key);
    const sum = others.reduce((total, [, entry]) => total + entry.size, size);
    const until = Date.now() + this.life;
    try {
      localStorage.setItem(this.key, JSON.stringify({ name, size, lastModified, upload, part_size, until }));
      if (locked && sum <= this.maxSize) await inFiles("readwrite", (files) => this.put(files, file));
    } catch {} // the upload goes on; after a reload the user chooses the file again, or it begins anew
  }

  put(files, file) {
    this.writing = files.transaction;
    return files.put(file, this.key);
  }

  // Return the file of an upload that no other page goes on with, which then is this one's
  async file() {
    if (!read(this.key) || !(await this.hold({ signal: AbortSignal.timeout(PATIENCE) }))) return null;
    return inFiles("readonly", (files) => files.get(this.key)).catch(() => null);
  }

  // Remove it, but not that of another page
  async forget() {
    if (!read(this.key) && !this.held) return;
    if ((await this.hold({ ifAvailable: true })) === false) return;
    try {
      localStorage.removeItem(this.key);
      this.writing?.abort(); // it throws if all is written
    } catch {}
    const removed = inFiles("readwrite", (files) => files.delete(this.key)).catch(() => {});
    await Promise.race([removed, new Promise((resolve) => setTimeout(resolve, PATIENCE))]);
    this.release();
  }

  // Tell whether this page alone has the upload now; null if the browser cannot know
  async hold(options) {
    if (!navigator.locks) return null; // not a secure context
    this.held ??= new Promise((resolve) => {
      navigator.locks
        .request(this.key, options, (lock) => {
          resolve(Boolean(lock));
          return lock && new Promise((release) => (this.letGo = release));
        })
        .catch(() => resolve(false));
    });
    const held = await this.held;
    if (!held) this.held = null;
    return held;
  }

  release() {
    this.letGo?.();
    this.held = this.letGo = null;
  }
}

// Remove what is of another user or tenant, or expired
export async function clean(owner) {
  for (const [key, entry] of entries()) {
    if (!key.startsWith(`${PREFIX}${owner}:`) || !(entry.until > Date.now())) localStorage.removeItem(key);
  }
  const keys = await inFiles("readonly", (files) => files.getAllKeys());
  const gone = keys.filter((key) => !read(key));
  if (gone.length) await inFiles("readwrite", (files) => gone.forEach((key) => files.delete(key)));
}

function read(key) {
  try {
    return JSON.parse(localStorage.getItem(key));
  } catch {
    return null;
  }
}

function entries() {
  try {
    const keys = Object.keys(localStorage).filter((key) => key.startsWith(PREFIX));
    return keys.map((key) => [key, read(key) ?? {}]);
  } catch {
    return [];
  }
}

let opened = null;

// Do this with the kept files, and return what it gives once that is on the disk
async function inFiles(mode, act) {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open("minio-router", 1);
    request.onupgradeneeded = () => request.result.createObjectStore(FILES);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  const transaction = (await opened).transaction(FILES, mode);
  const request = act(transaction.objectStore(FILES));
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve(request?.result);
    transaction.onabort = () => reject(transaction.error);
  });
}
