/** What the server refuses, or what keeps it from being reached, in a sentence. */
export class Refused extends Error {}

async function fetched(address, options) {
  let response;
  try {
    response = await fetch(address, options);
  } catch {
    throw new Refused("The server doesn't answer.");
  }
  const found = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(found.error?.message ?? `The server answered ${response.status}.`);
  return found;
}

export const about = () => fetched("v1/model");

export const titles = (typed) => fetched(`v1/titles?${new URLSearchParams({ typed, limit: 8 })}`);

export const recommend = (question) =>
  fetched("v1/recommend", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(question),
  });

/** Wait until the model has been loaded. */
export async function ready() {
  for (;;) {
    const { ready: loaded } = await fetched("health"); // which succeeds meanwhile, as /ready doesn't
    if (loaded) return;
    await new Promise((resume) => setTimeout(resume, 500));
  }
}
