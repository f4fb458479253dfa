"""Hash tags by slot."""

from redis.crc import key_slot

from service_runtime.redis.slots import find_hash_tag


def test_every_slot_has_a_hash_tag() -> None:
    for slot in (0, 1, 5461, 16383):
        assert key_slot(f"any{{{find_hash_tag(slot)}}}".encode()) == slot
