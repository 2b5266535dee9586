"""Values that are strange and legal. Each has to arrive in a container as it stands here."""

from urllib.parse import quote

STRANGE = {
    "QUOTES": """it's "both" ''""",
    "SUBSTITUTION": "$(touch /root/injected) ${HOME} $HOME $1 $$ $",
    "BACKTICKS": "`touch /root/injected`",
    "BACKSLASHES": "\\ \\\\ \\n \\' \\\" \\$ \\",
    "NEWLINES": "first\nsecond\n\n  third\n",
    "RETURNS": "a\r\nb\rc",
    "PERCENTS": "% %% %s %n %d %41 100%",
    "TEMPLATES": "{{ value }} {% if %} {0} ${{x}} <%= x %>",
    "DASHES": "-rf --help -- -",
    "BLANKS": "  two before, three after   ",
    "TABS": "\ta\t\tb\t",
    "SHELL": "; touch /root/injected & | > < * ? [a-z] ~ # ! ( ) { } = ^",
    "COMBINING": "e\u0301 A\u030a n\u0303",
    "EMOJI": "\U0001f9d1\u200d\U0001f680 \U0001f1e9\U0001f1ea \u2764\ufe0f",
    "RIGHT_TO_LEFT": "\u05e9\u05dc\u05d5\u05dd \u202eabc\u202c \u0645\u0631\u062d\u0628\u0627",
    "CONTROLS": "\x01\x07\x08\x0b\x0c\x1b[31mred\x1b[0m\x7f\x85\u2028",
    "LONG": "0123456789abcdé'\"" * 241 + "end",
    "EMPTY": "",
    "JSON": '{"a": ["b", null], "c": "\\u0000"}',
    "UNIT": "a\n[Service]\nExecStartPre=/bin/touch /root/injected\n",
}
"""By names that are also right for environment variables. All but NUL may stand in one."""

assert len(STRANGE["LONG"].encode()) > 4096

FILES = (
    'it\'s "quoted".txt',
    "$(touch injected) $HOME `id`.txt",
    "a  b\tc\x01.txt",
    "-rf.txt",
    "%41 %s.txt",
    "{{ x }} *?[a].txt",
    "e\u0301 \U0001f680 \u05e9\u05dc\u05d5\u05dd.txt",
    "n" * 251 + ".txt",
)
"""Names of files in a site; the last one is as long as a file system takes."""

CONTENT = bytes(range(256)) * 20 + b"no line break at the end"

HEADERS = {
    "X-Quotes": """it's "both" 'of' them""",
    "X-Backslashes": "\\ \\\\ \\n \\",
    "X-Directive": "a; return 500; } server { listen 99",
    "X-Percents": "%s %41 100%",
    "X-Unicode": "e\u0301 \U0001f680 \u05e9\u05dc\u05d5\u05dd",
    "X-Template": "{{ x }} `id` # * ? ~",
}

ROUTE = "/a~b.c_d-e%20f@g:h+i,j!k*l"
"""All characters that the path of a route may hold."""

NAME = "a" + "-b9" * 20 + "-Z"
"""63 characters, as long as a host name's label may be."""

ROLES = {
    "r" + "-x_9" * 15 + "-y": STRANGE["QUOTES"] + STRANGE["BACKSLASHES"],
    "select": STRANGE["SUBSTITUTION"],
    "_": STRANGE["EMOJI"] + STRANGE["COMBINING"],
    "user": "  blanks around  ",
}
"""Names of roles at their limits, and words of SQL; with strange passwords."""

SETTINGS = {
    "search_path": '"$user", public, "it\'s"',
    "log_line_prefix": "%m [%p] 'a' \\ {{ }} #",
    "cluster_name": "a 'b' \"c\" $d",
}


def path(name: str) -> str:
    """A file's name as a URL's path."""
    return quote(name)
