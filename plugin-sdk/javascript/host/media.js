// Stored media, for plugins that want `media`.

import { open } from 'patchbay:plugin/blobs@0.2.0';

import { Failure } from '../failure.js';

/** The most that the host gives in one read. */
const PIECE = 1 << 20;

export const context = {
  /** Opens stored media by its id. */
  media(id) {
    try {
      return reader(open(id));
    } catch (error) {
      throw Failure.permanent(`media ${id}: ${error.payload ?? error}`);
    }
  },
};

/** Reads an open blob, piece by piece or as a whole. */
export function reader(blob) {
  const read = (offset, length) => {
    try {
      return blob.read(BigInt(offset), length);
    } catch (error) {
      throw Failure.retry(`the media cannot be read: ${error.payload ?? error}`);
    }
  };
  return {
    size: () => Number(blob.size()),
    read,
    all() {
      const whole = new Uint8Array(Number(blob.size()));
      for (let at = 0; at < whole.length;) {
        const piece = read(at, PIECE);
        if (piece.length === 0) return whole.subarray(0, at);
        whole.set(piece, at);
        at += piece.length;
      }
      return whole;
    },
  };
}
