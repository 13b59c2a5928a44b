"""Valid bytes made invalid: cut, flipped, spliced, repeated, with hostile numbers and names put in."""

from random import Random

NUMBERS = (
    b"-1",
    b"0",
    b"2147483648",
    b"9223372036854775808",
    b"-9223372036854775808",
    b"1" * 400,
    b"1e400",
    b"NaN",
)
NAMES = (
    b"../../x", b"/absolute", b"..", b"~", b"-o", b"a\0b", b"a\nb", b"\x1b[31m\x1b]0;title\x07", b"\xff\xfe",
    "\u202e\u2028é".encode(), b"%s{0}$(x)`x`", b"A" * 70_000,
)  # fmt: skip
MARKS = (
    b"\r\n",
    b"\r",
    b"\n>",
    b">",
    b"\t",
    b"\n\n",
    b"[" * 3000,
    b'{"a":' * 3000,
    b"\x1f\x8b\x08\x04",
    b"\0",
    b"\xef\xbb\xbf",
)


def mutate(content: bytes, random: Random, most: int = 4) -> bytes:
    """Change bytes in a few random places."""
    for _ in range(random.randint(1, most)):
        content = random.choice(_CHANGES)(content, random)
    return content[: 1 << 20]


def _place(content: bytes, random: Random) -> int:
    # Headers hold what is most easily broken.
    return min(random.choice((random.randint(0, 100), random.randint(0, len(content)))), len(content))


def _truncate(content: bytes, random: Random) -> bytes:
    return content[: _place(content, random)]


def _flip(content: bytes, random: Random) -> bytes:
    changed = bytearray(content)
    for _ in range(random.choice((1, 1, 8)) if changed else 0):
        changed[min(_place(content, random), len(changed) - 1)] ^= 1 << random.randrange(8)
    return bytes(changed)


def _splice(content: bytes, random: Random) -> bytes:
    first, second, third = sorted(_place(content, random) for _ in range(3))
    return content[:first] + content[second:third] + content[first:second] + content[third:]


def _remove(content: bytes, random: Random) -> bytes:
    first = _place(content, random)
    return content[:first] + content[first + random.choice((1, 1, 4, 30)) :]


def _repeat(content: bytes, random: Random) -> bytes:
    first = _place(content, random)
    piece = content[first : first + random.choice((1, 10, 200))]
    return content[:first] + piece * random.choice((2, 3, 500)) + content[first:]


def _insert(content: bytes, random: Random) -> bytes:
    first = _place(content, random)
    return content[:first] + random.choice((*NUMBERS, *NAMES, *MARKS)) + content[first:]


def _replace_number(content: bytes, random: Random) -> bytes:
    places = [i for i, byte in enumerate(content[:4000]) if chr(byte).isdigit()]
    if not places:
        return _insert(content, random)
    first = last = random.choice(places)
    while last < len(content) and chr(content[last]).isdigit():
        last += 1
    return content[:first] + random.choice(NUMBERS) + content[last:]


def _binary(content: bytes, random: Random) -> bytes:
    first = _place(content, random)
    return content[:first] + random.randbytes(random.choice((1, 8, 500))) + content[first:]


def _integer(content: bytes, random: Random) -> bytes:
    """Overwrite eight bytes, as a length or an offset in a binary header."""
    first = _place(content, random)
    value = random.choice((0, 1, 2**31, 2**40, 2**63 - 1, 2**64 - 1)).to_bytes(8, "little")
    return content[:first] + value[: random.choice((1, 2, 4, 8))] + content[first + 8 :]


_CHANGES = (
    _truncate, _flip, _flip, _splice, _remove, _repeat, _insert, _insert, _replace_number, _replace_number,
    _binary, _integer,
)  # fmt: skip


def mutate_json(value: object, random: Random) -> object:
    """Change one place of a JSON document: another type, a hostile number or name, a key gone or new."""
    if isinstance(value, dict) and value and random.random() < 0.85:
        key = random.choice(list(value))
        changed = dict(value)
        action = random.random()
        if action < 0.1:
            del changed[key]
        elif action < 0.15:
            changed[str(_odd(random)) if random.random() < 0.5 else "more"] = 1
        else:
            changed[key] = mutate_json(value[key], random)
        return {k if isinstance(k, str) else str(k): v for k, v in changed.items()}
    if isinstance(value, list) and value and random.random() < 0.7:
        place = random.randrange(len(value))
        return [*value[:place], mutate_json(value[place], random), *value[place + 1 :]]
    return _odd(random)


def _odd(random: Random) -> object:
    return random.choice(
        (
            None, True, -1, 0, 1, 2, 7, 10**7, 10**10, 10**12, 2**63, 10**30, 0.5, -1.5, 1e300, float("nan"),
            [], {}, [[]], [-1], [10**9], "", "x", "../../x", "/etc/hosts", "a\0b", "a\nb", "\x1b[31m",
            "\ud800", "é" * 3000, "weights.safetensors", "same", "sequence", [1] * 2000,
        )
    )  # fmt: skip
