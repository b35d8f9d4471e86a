/** A package of somebody else's, in JavaScript. */
export const louder = (text) => `${text}!`;
