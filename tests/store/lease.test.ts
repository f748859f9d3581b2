import * as fs from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { acquireLease, type LeaseHolder } from "../../src/store/lease.ts";
import { digestOf, hexOf } from "../../src/util/digest.ts";
import { ended, StoreRig } from "./store-rig.ts";

const KEY = digestOf("stlm.action.v1", { stage: "train" });

describe("leases", () => {
  test("a second owner waits until the first lets go, and is told for whom it waits", async () => {
    using rig = StoreRig.create();
    const first = await acquireLease(rig.store, KEY);
    const waits: LeaseHolder[] = [];
    let isSecondIn = false;
    const second = acquireLease(rig.reopen(), KEY, { onWait: (holder) => waits.push(holder) }).then((lease) => {
      isSecondIn = true;
      return lease;
    });
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(isSecondIn).toBe(false);
    expect(waits).toMatchObject([{ pid: process.pid }]);
    expect(first.isHeld()).toBe(true);
    first.release();
    const lease = await second;
    expect(first.isHeld()).toBe(false);
    expect(lease.isHeld()).toBe(true);
    lease.release();
    expect(fs.readdirSync(rig.store.layout.leases)).toEqual([]);
  });

  test("different keys do not wait for one another", async () => {
    using rig = StoreRig.create();
    using one = await acquireLease(rig.store, KEY);
    using two = await acquireLease(rig.store, digestOf("stlm.action.v1", {}), { waitMs: 0 });
    expect(one.isHeld() && two.isHeld()).toBe(true);
    expect(fs.readdirSync(rig.store.layout.leases)).toHaveLength(2);
  });

  test("waiting ends after waitMs with one clear message", async () => {
    using rig = StoreRig.create();
    using _held = await acquireLease(rig.store, KEY);
    await expect(acquireLease(rig.store, KEY, { waitMs: 60 })).rejects.toMatchObject({
      code: "LEASE_HELD",
      exitCode: 1,
      message: expect.stringMatching(new RegExp(`Process ${process.pid} on .* still runs stage key`)),
    });
  });

  test("waiting ends when it is aborted, with the signal's reason", async () => {
    using rig = StoreRig.create();
    using _held = await acquireLease(rig.store, KEY);
    const abort = new AbortController();
    setTimeout(() => abort.abort(new Error("stopped by Ctrl-C")), 40);
    await expect(acquireLease(rig.store, KEY, { signal: abort.signal })).rejects.toThrow("stopped by Ctrl-C");
  });

  test("the lease of a process killed with SIGKILL is taken over without any unlocking", async () => {
    using rig = StoreRig.create();
    const child = await rig.child("hold", KEY);
    await expect(acquireLease(rig.store, KEY, { waitMs: 100 })).rejects.toMatchObject({ code: "LEASE_HELD" });
    child.kill("SIGKILL");
    const lease = await acquireLease(rig.store, KEY, { waitMs: 5000 });
    expect(lease.isHeld()).toBe(true);
    expect(fs.readdirSync(rig.store.layout.leases)).toEqual([`${hexOf(KEY)}.2`]);
    lease.release();
  });

  test("processes that race for a lease enter one at a time, though one of them is killed", async () => {
    using rig = StoreRig.create();
    const counter = rig.path("counter");
    fs.writeFileSync(counter, "0");
    const holder = await rig.child("hold", KEY);
    const racers = await Promise.all([1, 2, 3].map(() => rig.child("race", KEY, counter)));
    holder.kill("SIGKILL");
    await Promise.all(racers.map(ended));
    expect(racers.map((racer) => racer.exitCode)).toEqual([0, 0, 0]);
    expect(fs.readFileSync(counter, "utf8")).toBe("45");
    expect(fs.readdirSync(rig.store.layout.leases)).toEqual([]);
  });

  /** Rewrites the lease as another owner would have written it. */
  function disguise(rig: StoreRig, change: Record<string, string | number>): void {
    const file = path.join(rig.store.layout.leases, `${hexOf(KEY)}.1`);
    const content = JSON.parse(fs.readFileSync(file, "utf8"));
    fs.writeFileSync(file, JSON.stringify({ ...content, token: "other", owner: { ...content.owner, ...change } }));
  }

  test("a pid that came again, with another start time or after a reboot, is a dead owner", async () => {
    for (const change of [{ started: "1" }, { boot: "0" }, { pid: 4_999_999 }]) {
      using rig = StoreRig.create();
      const old = await acquireLease(rig.store, KEY);
      disguise(rig, change);
      using next = await acquireLease(rig.store, KEY, { waitMs: 0 });
      expect(old.isHeld()).toBe(false);
      old.release();
      expect(next.isHeld()).toBe(true);
    }
  });

  test("an owner on another machine is waited for while it shows signs of life, and replaced after a silence", async () => {
    using rig = StoreRig.create();
    const old = await acquireLease(rig.store, KEY);
    disguise(rig, { host: "elsewhere" });
    const file = path.join(rig.store.layout.leases, `${hexOf(KEY)}.1`);
    const beats = setInterval(() => fs.utimesSync(file, new Date(), new Date()), 30);
    await expect(acquireLease(rig.store, KEY, { waitMs: 500, silenceMs: 200 })).rejects.toMatchObject({
      code: "LEASE_HELD",
    });
    clearInterval(beats);
    using next = await acquireLease(rig.store, KEY, { waitMs: 5000, silenceMs: 200 });
    expect(next.isHeld()).toBe(true);
    old.release();
  });

  test("an unreadable lease does not block for ever", async () => {
    using rig = StoreRig.create();
    fs.mkdirSync(rig.store.layout.leases, { recursive: true });
    fs.writeFileSync(path.join(rig.store.layout.leases, `${hexOf(KEY)}.7`), "");
    using lease = await acquireLease(rig.store, KEY, { waitMs: 5000, silenceMs: 100 });
    expect(lease.isHeld()).toBe(true);
  });
});
