"""Keys for each slot of a Redis cluster. Pure."""

from functools import lru_cache
from itertools import count

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot


@lru_cache(maxsize=REDIS_CLUSTER_HASH_SLOTS)
def find_hash_tag(slot: int) -> str:
    """Return a hash tag whose keys are in a slot, 0 to 16383. The first time it takes some milliseconds."""
    return next(tag for tag in map(str, count()) if key_slot(tag.encode()) == slot)
