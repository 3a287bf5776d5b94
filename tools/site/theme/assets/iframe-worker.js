// Search runs in a worker, which a page from file:// may not start; there it runs in a hidden frame of the page
// instead. Material asks for such a shim (extra.polyfills), and would fetch one: this one is ours.
(() => {
  if (location.protocol !== "file:") return;

  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      frame.title = "search";
      document.body.append(frame);
      const inside = frame.contentWindow;
      this.ready = new Promise((resolve) => {
        const script = inside.document.createElement("script");
        script.src = url;
        script.onload = () => resolve(inside);
        // What the worker's program calls: both mean the page when they are called in a frame.
        inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
        inside.importScripts = () => Promise.resolve();
        inside.document.body.append(script);
      });
    }

    postMessage(data) {
      this.ready.then((inside) =>
        inside.dispatchEvent(new MessageEvent("message", { data: structuredClone(data) })));
    }
  };
})();
