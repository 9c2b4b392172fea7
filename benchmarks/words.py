"""What the page says besides figures."""

INTRO = """# Benchmarks

`make bench` measures everything on this page, on your machine, and writes the page anew. It takes some minutes
on two cores and removes what it makes, also after Ctrl-C.

Each contender is a process of its own with a sandbox of its own, over the same image and the same read-only
folders. Their calls are interleaved, so that whatever else the machine does hits all alike: compare figures
within a row, not between machines. Beside Bridle's two backends there are

* **docker exec**: the `docker` command, started anew for each call; `docker run`, `docker commit`
* **docker SDK**: the Docker SDK for Python, one client; the engine's archives for files
* **mini-swe-agent**: the docker environment of [mini-swe-agent](https://github.com/SWE-agent/mini-swe-agent);
  files go through its command line
* **SWE-ReX**: the runtime of [SWE-ReX](https://github.com/SWE-agent/SWE-ReX), its server in a container;
  `execute`, and (*session*) a command in its bash session
"""
BUSY = (
    "**The machine had other work when this was measured**: {load:g} processes wanted its {cores} processors at a "
    "time. Every time below is longer than on a quiet machine, 99th percentiles by far; ratios say more."
)
NOTES = {
    "exec": "`true`, started directly; mini-swe-agent always goes through `bash -lc`. *Busy* sandboxes are eight "
    "more of Bridle's, each in an endless loop, on the same processors.",
    "files": "An edit reads the file and writes it again; Bridle's writes only if it still holds what was read. "
    "The tools are what the model calls, in a repository of fifty files. A search starts ripgrep inside, a "
    "process of its own, so that it takes about three times as long as a command that does nothing, and misses "
    "its target.",
    "ready": "The image is there already. *Ready* differs: for the docker command, the SDK and mini-swe-agent it "
    "is a container that was started, for Bridle and SWE-ReX one that has answered. The second row is the "
    "same for all.",
    "checkpoints": "Beside `docker commit`, `docker rm` with `docker run`, and `docker run`; the others have no "
    "such thing. *Little* is one file of 10 kB, *much* a thousand of 100 kB. *After 200 MB*: these were written "
    "and saved before, and Bridle went on from there, as a session does.",
    "output": "In a new process each; memory is by how much that process grew at most. Bridle keeps both ends and "
    "leaves the whole in a file inside; the others hand all of it over.",
    "cpu": "All who take part are counted: the engine's daemons, what is inside, and the process that asks with "
    "what it starts. Counted over 1,000 commands of Bridle's and 100 of the peers'.",
    "memory": "All processes inside, seen from the host. The first row counts pages that processes share in "
    "parts; a container without a runner holds a `sleep`.",
    "stream": "A program prints the time every 10 ms; whoever receives it looks at the clock. Bridle hands a "
    "line over at once, and what comes without pause up to 50 times a second. mini-swe-agent and SWE-ReX hand "
    "output over at the end.",
    "tunnel": "From a program in a sandbox through the proxy to a server on the same machine, and back; beside "
    "the same program outside, connected directly.",
    "suite": "Attempts a minute at one small task, two at a time, with a model that answers at once: twenty "
    "commands, of which the last one mends the bug, and the task's tests. Bridle's are whole attempts of `bridle "
    "suite run`: a session with its journal, the patch taken out through the engine, and the grader's runs of the "
    "tests in a sandbox that never ran the agent. Beside it, what people write by hand: a container an attempt, a "
    "`docker exec` a command, and the tests in that same container, where an agent can do with them as it likes.",
}
