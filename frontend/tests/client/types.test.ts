import { expectTypeOf, test } from "vitest";
import { HubSocket, type ReconnectEvent } from "../../client/hubsocket";

// `npm run check` is what fails where these do not hold.
test("a HubSocket goes where a WebSocket is asked for", () => {
  expectTypeOf<HubSocket>().toExtend<WebSocket>();
  expectTypeOf(HubSocket).toExtend<typeof WebSocket>();
  expectTypeOf<ConstructorParameters<typeof WebSocket>>().toExtend<ConstructorParameters<typeof HubSocket>>();
  expectTypeOf<HubSocket["readyState"]>().toEqualTypeOf<0 | 1 | 2 | 3>();

  const listen = (socket: HubSocket) => {
    socket.addEventListener("message", (event) => expectTypeOf(event).toEqualTypeOf<MessageEvent>());
    socket.addEventListener("close", (event) => expectTypeOf(event).toEqualTypeOf<CloseEvent>());
    socket.addEventListener("reconnect", (event) => expectTypeOf(event).toEqualTypeOf<ReconnectEvent>());
    socket.onreconnecting = (event) => expectTypeOf(event.delay).toEqualTypeOf<number>();
    // @ts-expect-error a number is no message
    socket.send(1);
    // @ts-expect-error nor can the state be set
    socket.readyState = 1;
  };
  expectTypeOf(listen).toBeFunction();
});
