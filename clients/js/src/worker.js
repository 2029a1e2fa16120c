import { Holder } from "./holder.js";

const begin = () => new Holder(self.name);
/** Tabs that wait for this lock learn by it that the process of the worker has died. */
const hold = () => {
  begin();
  return new Promise(() => {});
};
if (navigator.locks) navigator.locks.request(self.name, hold);
else begin();
