export function louder(text: string): string;
