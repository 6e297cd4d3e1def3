"""The chat, spoken to as its clients do."""

from channels.testing import WebsocketCommunicator

from consumers.demo.accounts import make_token
from consumers.demo.chat import HISTORY_MESSAGES, MAX_ROOMS, MAX_TEXT, Transcripts
from hub import conf
from hub.instrument import state

LOBBY = "/ws/demo/acme/chat/lobby/"


async def join(connect, name, path=LOBBY):
    person = await connect(path)
    await person.send_json_to({"type": "join", "name": name})
    history = await person.receive_json_from()
    assert history["type"] == "history"
    assert await person.receive_json_from() == {"type": "joined", "name": name}
    return person, history["messages"]


async def test_everybody_in_the_room_hears_everything(connect):
    ada, _ = await join(connect, "ada")
    ben, _ = await join(connect, "ben")
    assert await ada.receive_json_from() == {"type": "joined", "name": "ben"}

    await ben.send_json_to({"type": "typing"})
    await ben.send_json_to({"type": "say", "text": "Hello"})
    await ben.send_json_to({"type": "leave"})

    for person in (ada, ben):
        assert await person.receive_json_from() == {"type": "typing", "name": "ben"}
        assert await person.receive_json_from() == {"type": "said", "name": "ben", "text": "Hello"}
        if person is ada:
            assert await person.receive_json_from() == {"type": "left", "name": "ben"}


async def test_who_is_here_is_known_by_name(connect):
    ada, _ = await join(connect, "ada", f"{LOBBY}?token={make_token('ada', 'acme')}")
    ben, _ = await join(connect, "ben")
    await connect(f"{LOBBY}?token={make_token('cleo', 'acme')}")  # looks in, and joins nothing
    await join(connect, "dora", f"/ws/demo/globex/chat/lobby/?token={make_token('dora', 'globex')}")
    await join(connect, "emil", f"/ws/demo/acme/chat/sales/?token={make_token('emil', 'acme')}")
    await ben.send_json_to({"type": "who"})
    assert await ben.receive_json_from() == {"type": "here", "names": ["ada", "somebody"]}

    await ben.send_json_to({"type": "leave"})
    assert await ada.receive_json_from() == {"type": "joined", "name": "ben"}
    assert await ada.receive_json_from() == {"type": "left", "name": "ben"}
    await ada.send_json_to({"type": "who"})
    assert await ada.receive_json_from() == {"type": "here", "names": ["ada"]}


async def test_without_the_hub_one_only_knows_oneself(connect, settings):
    settings.HUB = {"ENABLED": False}
    conf.config.cache_clear()
    state.reset()
    try:
        ada, _ = await join(connect, "ada")
        await ada.send_json_to({"type": "who"})
        assert await ada.receive_json_from() == {"type": "here", "names": ["ada"]}
    finally:
        settings.HUB = {}
        conf.config.cache_clear()
        state.reset()


async def test_rooms_of_two_tenants_are_two_rooms(connect):
    ada, _ = await join(connect, "ada")
    ben, _ = await join(connect, "ben", "/ws/demo/globex/chat/lobby/")

    await ben.send_json_to({"type": "say", "text": "Hello"})

    assert (await ben.receive_json_from())["type"] == "said"
    assert await ada.receive_nothing()


async def test_a_newcomer_gets_the_last_messages(connect):
    ada, _ = await join(connect, "ada")
    for number in range(HISTORY_MESSAGES + 5):
        await ada.send_json_to({"type": "say", "text": str(number)})
        await ada.receive_json_from()

    _, messages = await join(connect, "ben")

    assert [message["text"] for message in messages] == [str(number) for number in range(5, HISTORY_MESSAGES + 5)]


async def test_a_lost_connection_leaves_the_room(connect, application):
    ada, _ = await join(connect, "ada")
    ben = WebsocketCommunicator(application, LOBBY)
    await ben.connect()
    await ben.send_json_to({"type": "join", "name": "ben"})
    assert await ada.receive_json_from() == {"type": "joined", "name": "ben"}

    await ben.disconnect(code=1006)

    assert await ada.receive_json_from() == {"type": "left", "name": "ben"}


async def test_one_must_join_first_and_once(connect):
    ada = await connect(LOBBY)
    for message in ({"type": "say", "text": "Hello"}, {"type": "join", "name": ""}, {"type": "dance"}, ["say"], 7):
        await ada.send_json_to(message)
        assert (await ada.receive_json_from())["type"] == "error"


async def test_long_texts_are_cut(connect):
    ada, _ = await join(connect, "ada")
    await ada.send_json_to({"type": "say", "text": "x" * (MAX_TEXT + 1)})
    assert len((await ada.receive_json_from())["text"]) == MAX_TEXT


async def test_unknown_tenants_and_endless_room_names_are_turned_away(application):
    for path in ("/ws/demo/hooli/chat/lobby/", f"/ws/demo/acme/chat/{'x' * 41}/"):
        accepted, _ = await WebsocketCommunicator(application, path).connect()
        assert not accepted


def test_transcripts_forget_the_quietest_room():
    transcripts = Transcripts()
    for number in range(MAX_ROOMS + 1):
        transcripts.append(f"room {number}", {"text": "Hello"})
    assert transcripts.last("room 0") == []
    assert transcripts.last("room 1") == [{"text": "Hello"}]
