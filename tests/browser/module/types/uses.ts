import { connect, type Failure, type Hub, type Loss, type Subscription, type Update } from "talaria-client";

const hub: Hub = connect(new URL("https://hub.example/.well-known/mercure"), {
  generation: "1.0",
  identity: "ann",
  credentials: "include",
  silence: 0,
  token: async ({ refused }) => (refused ? undefined : "token"),
  worker: "/worker.js",
});
connect("/.well-known/mercure", { generation: "0.x", share: false, token: () => "token" });

const subscription: Subscription = hub.subscribe("a", (update: Update) => update.data.length);
hub.subscribe(["a", { urlpattern: "/books/:id" }] as const, ({ id, type, data }) => id + type + data, {
  when: ({ type }) => type === "message",
  lastEventId: null,
});
hub.onloss = ({ requested, answered }: Loss) => requested === answered;
hub.onerror = ({ status, message }: Failure) => `${status ?? ""} ${message}`;
hub.onstate = (state) => state === "open";
subscription.close();
hub.close();

// @ts-expect-error: a generation that there is not
connect("/", { generation: "2.0" });
// @ts-expect-error: no function
hub.subscribe("a");
// @ts-expect-error: a number is not a topic
hub.subscribe(1, () => {});
// @ts-expect-error: the state is read only
hub.state = "open";
