"""The calls of the original client, as old masters still make them, against a slave: PORT TOKEN. Exits 0 if all are right."""
import concurrent.futures
import json
import sys
import urllib.error
import urllib.request

BASE = "http://127.0.0.1:%s" % sys.argv[1]
TOKEN = sys.argv[2]


def call(path, body=None, token=TOKEN, method=None, raw=None):
    headers = {"Content-Type": "application/json"}
    if token is not None:
        headers["Authorization"] = "Bearer " + token
    data = raw if raw is not None else None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(BASE + path, data=data, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        assert error.headers["Content-Type"].startswith("application/json"), error.headers
        return error.code, json.load(error)


def execute(command, **more):
    status, result = call("/api/execute", dict(command=command, **more))
    assert status == 200, (status, result)
    return result


def expect(what, actual, wanted):
    assert actual == wanted, "%s: %r, expected %r" % (what, actual, wanted)


status, health = call("/api/health", token=None)
expect("health", status, 200)
expect("status", health["status"], "healthy")
assert set(health) >= {"status", "python_version", "execution_methods", "version", "commit", "branch"}, health
expect("methods", health["execution_methods"]["python"], True)

status, version = call("/api/version", token=None)
expect("version", status, 200)
expect("commit", version["commit"], health["commit"])
assert set(version) >= {"commit", "version", "branch"}, version

result = execute("def fib(n):\n    return n if n < 2 else fib(n - 1) + fib(n - 2)\nprint(fib(10))")
expect("fibonacci", {k: result[k] for k in ("success", "output", "error")}, dict(success=True, output="55\n", error=""))
assert result["method"] in ("docker", "venv", "python"), result

result = execute("print('before')\nno_such_name")
expect("failed", result["success"], False)
expect("output of a failed task", result["output"], "before\n")
expect(
    "traceback",
    result["error"],
    'Traceback (most recent call last):\n  File "<string>", line 2, in <module>\n'
    "NameError: name 'no_such_name' is not defined\n",
)

for token in (None, "", "wrong", TOKEN[:-1], TOKEN + "x"):
    expect("token %r" % token, call("/api/execute", {"command": "print(1)"}, token=token), (401, {"error": "Unauthorized"}))
for path, method, wanted in (("/nope", "GET", 404), ("/api/health", "DELETE", 405), ("/api/execute", "GET", 405)):
    status, answer = call(path, method=method)
    expect(method + " " + path, (status, list(answer)), (wanted, ["error"]))
for raw in (b"{", b"[]", b"{}", b'{"command": 5}', b'{"command": "x", "timeout": "soon"}'):
    status, answer = call("/api/execute", raw=raw)
    expect(raw, (status, list(answer)), (400, ["error"]))
status, answer = call("/api/execute", raw=b'{"command": "' + b"x" * (9 << 20) + b'"}')
expect("a body over the limit", status, 413)

result = execute("print(1)", working_dir="/no/such")
expect("missing working_dir", (result["success"], result["output"]), (False, ""))
assert "working_dir" in result["error"] and "/no/such" in result["error"], result
expect("working_dir", execute("import os; print(os.getcwd())", working_dir="/")["output"], "/\n")

expect("a megabyte", execute("print('x' * 1000000)")["output"], "x" * 1000000 + "\n")
expect("emoji", execute("print('caf\u00e9 \U0001f680')")["output"], "caf\u00e9 \U0001f680\n")

with concurrent.futures.ThreadPoolExecutor(24) as pool:
    answers = list(pool.map(lambda i: execute("print(%d * %d)" % (i, i))["output"], range(24)))
expect("24 at a time", answers, ["%d\n" % (i * i) for i in range(24)])

result = execute("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
expect("killed", (result["success"], result["status"], result.get("signal")), (False, "signaled", 9))
expect("timeout", execute("while True: pass", timeout=0.5)["status"], "timeout")
expect("afterwards", execute("print('well')")["output"], "well\n")
print("all calls answered as the original client expects")
