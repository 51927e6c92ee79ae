// Search in a site that is opened from a folder: browsers start no worker for file: addresses, so the worker's script runs
// in a hidden frame instead, and talks in the same way. On a server nothing of this is used.
if (location.protocol === "file:") {
  window.IFrameWorker = window.Worker = class extends EventTarget {
    constructor(address) {
      super();
      this.waiting = [];
      const start = () => {
        const frame = document.body.appendChild(document.createElement("iframe"));
        frame.hidden = true;
        const inside = frame.contentWindow;
        inside.postMessage = (data) => {
          const event = new MessageEvent("message", { data });
          this.dispatchEvent(event);
          if (this.onmessage) this.onmessage(event);
        };
        const script = inside.document.createElement("script");
        script.src = address;
        script.onload = () => {
          this.postMessage = (data) => inside.dispatchEvent(new MessageEvent("message", { data }));
          this.waiting.splice(0).forEach((data) => this.postMessage(data));
        };
        inside.document.body.appendChild(script);
      };
      document.body ? start() : addEventListener("DOMContentLoaded", start);
    }
    postMessage(data) {
      this.waiting.push(data);
    }
    terminate() {}
  };
}
