/**
 * Do one thing at a time, and of those asked for meanwhile only the last: no request is aborted, no answer overtaken by
 * an older one. The work is told by its last argument, a function, whether it is out of date.
 */
export function latest(work) {
  let running = false;
  let next = null;
  return async (...given) => {
    next = given;
    if (running) return;
    running = true;
    try {
      while (next) {
        const now = next;
        next = null;
        await work(...now, () => next !== null);
      }
    } finally {
      running = false;
    }
  };
}
