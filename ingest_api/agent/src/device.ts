/** The device id: 16 random bytes of this origin, kept in localStorage and in IndexedDB. */

import type { Backup } from "./backup";
import { type Bytes, hex, unhex } from "./bytes";
import { attempt, type World } from "./world";

const ITEM = "clickgoose.device";
const WAIT_MS = 500;

export class Device {
  /** Resolves, soon whatever happens, once the id is known. */
  readonly ready: Promise<void>;
  private known: Bytes | undefined;

  constructor(
    private readonly world: World,
    private readonly backup: Backup,
  ) {
    this.known = unhex(attempt(() => world.localStorage?.getItem(ITEM)), 16);
    if (this.known) this.write(this.known);
    this.ready = this.known ? Promise.resolve() : this.look();
  }

  /** The id; a new one where none is known yet and nobody can wait. */
  id(): Bytes {
    return (this.known ??= this.write(this.world.randomBytes(16)));
  }

  private async look(): Promise<void> {
    const patience = new Promise<undefined>((resolve) => {
      this.world.setTimeout(() => resolve(undefined), WAIT_MS);
    });
    const found = unhex(await Promise.race([this.backup.readDevice(), patience]), 16);
    if (found && !this.known) this.known = this.write(found);
    this.id();
  }

  private write(id: Bytes): Bytes {
    attempt(() => this.world.localStorage?.setItem(ITEM, hex(id)));
    this.backup.writeDevice(hex(id));
    return id;
  }
}
