// Puts a plugin's roles behind the contract's exports. The build writes the module that calls this.

import { Failure } from './failure.js';

/** Makes the exports of one role: each function of the contract calls the plugin's own, with settings and context. */
export function role(plugin, functions, host) {
  const made = {};
  for (const name of functions) {
    made[name] = (...given) => run(() => method(plugin, name).call(plugin, host.settings(), ...given, host.context));
  }
  return made;
}

/** The functions of each role, in the contract's order. */
export const roles = {
  handler: ['handle'],
  desk: ['findTicket', 'createTicket', 'findEntry', 'addEntry', 'updateTicket', 'readTicket', 'receive'],
  inspector: ['inspect'],
};

function method(plugin, name) {
  if (typeof plugin[name] !== 'function') throw new TypeError(`the plugin has no function ${name}`);
  return plugin[name];
}

// A promise costs turns of the event loop: only who gives one gets one.
function run(work) {
  try {
    const answer = work();
    return typeof answer?.then === 'function' ? answer.then(undefined, told) : answer;
  } catch (error) {
    return told(error);
  }
}

/** A failure becomes the contract's; anything else ends the call, with its stack in the operator's report. */
function told(error) {
  if (error instanceof Failure) throw error.payload;
  console.error(error instanceof Error ? `${error.name}: ${error.message}\n${error.stack}` : error);
  throw error;
}
