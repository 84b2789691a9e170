#!/usr/bin/env python3
"""Runs this harness and its peers against the embedded reference, and writes the figures of docs/comparison.md.

    python3 benches/peers/run.py            # everything; what is in target/peers/runs.jsonl already is not run again
    python3 benches/peers/run.py --figures  # only the page, from target/peers/runs.jsonl

LOGTO_CONFORMANCE names the binary, if not what `cargo build --release` made; nothing is built here. PEERS_TOOLS names the folder
of the peers; what is missing there is installed. Needs Python 3.11, cargo, npm and Java 17.
"""

import base64
import collections
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.parse
import urllib.request
import xml.etree.ElementTree as xml
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
RAW = ROOT / "target/peers"
TOOLS = Path(os.environ.get("PEERS_TOOLS", RAW / "tools"))
DATA = tomllib.loads((HERE / "peers.toml").read_text())
SETTINGS, VERSIONS = DATA["settings"], DATA["versions"]
OURS = "logto-conformance"
NAMES = [OURS, "schemathesis", "openapi-fuzzer", "specmatic"]
COLLECTIONS = ["account", "management"]
PASSWORD = "Correct-horse-17-battery"
SCOPES = "openid profile email phone address custom_data identities roles urn:logto:scope:organizations " \
    "urn:logto:scope:organization_roles urn:logto:scope:sessions"
FIELDS = "name avatar profile username email phone password social customData mfa passkey session".split()
KINDS = "users applications roles organizations organization-scopes resources connectors sso-connectors " \
    "custom-profile-fields one-time-tokens".split()
# Secrets that a target gives out while it is tested: JWTs, subject tokens, personal access tokens.
ISSUED = re.compile(r"eyJ[\w-]{16,}\.[\w-]{16,}\.[\w-]{16,}|\b(?:sub|pat)_[a-z0-9]{16,}")


# --- the tools

def binary():
    path = Path(os.environ.get("LOGTO_CONFORMANCE", ROOT / "target/release/logto-conformance"))
    return str(path) if path.exists() else sys.exit(f"{path} is not there; cargo build --release makes it")


def install():
    TOOLS.mkdir(parents=True, exist_ok=True)
    at = TOOLS.resolve()
    steps = [
        (at / "venv/bin/schemathesis", [[sys.executable, "-m", "venv", at / "venv"],
                                        [at / "venv/bin/pip", "install", "--quiet", f"schemathesis=={VERSIONS['schemathesis']}"]]),
        (at / "bin/openapi-fuzzer", [["cargo", "install", "--root", at, f"openapi-fuzzer@{VERSIONS['openapi-fuzzer']}"]]),
        (at / "npm/node_modules/specmatic/specmatic.jar",
         [["npm", "install", "--ignore-scripts", "--prefix", at / "npm", f"specmatic@{VERSIONS['specmatic']}"]]),
    ]
    for result, commands in steps:
        for command in [] if result.exists() else commands:
            subprocess.run(list(map(str, command)), check=True)


def tool(name, collection, seed, target):
    """The command, and what it needs in its environment."""
    if name == OURS:
        reports = [word for form in ["json", "junit", "html", "har"] for word in ["--report", f"{form}:report.{form}"]]
        command = [binary(), "check", "--mode", "exclusive", "--channel", "webhook", "--provider", "127.0.0.1:0", "--strict",
                   "--seed", str(seed), "--out", "out", *reports]
        keys = {"TARGET": "endpoint", "CLIENT_ID": "client_id", "CLIENT_SECRET": "client_secret", "RESOURCE": "resource"}
        return command, {f"LOGTO_CONFORMANCE_{key}": target[of] for key, of in keys.items()}
    token, url = target[collection], target["endpoint"]
    proof = ["-H", f"logto-verification-id: {target['record']}"] if collection == "account" else []
    if name == "schemathesis":
        command = [TOOLS / "venv/bin/schemathesis", "run", "linked.json", "--url", url, "--seed", seed, "--continue-on-failure",
                   "--max-examples", SETTINGS["schemathesis-examples"], "--generation-database", "none", "--no-color",
                   "--report", "json,junit,html,har", "--report-dir", "reports", *proof]
        return command, {"TOKEN": token}
    if name == "openapi-fuzzer":
        proof = ["-H", proof[1]] if proof else []
        command = [TOOLS / "bin/openapi-fuzzer", "run", "-s", "older.json", "-u", url, "-H", f"Authorization: Bearer {token}",
                   "-o", "results", "--stats-dir", "stats", *proof]
        return command, {}
    environment = {f"{'user' if collection == 'account' else 'management'}Token": token,
                   "MAX_TEST_REQUEST_COMBINATIONS": str(SETTINGS["specmatic-combinations"])}
    if collection == "account":
        environment["SPECMATIC_GENERATIVE_TESTS"] = "true"
    command = ["java", "-jar", TOOLS / "npm/node_modules/specmatic/specmatic.jar", "test", "proven.json", "--lenient",
               f"--testBaseURL={url}", "--junitReportDir=junit"]
    return command, environment


def documents(collection, folder, record):
    """The contract as OpenAPI documents: with links for Schemathesis, without what openapi-fuzzer cannot parse, and with the
    proof of identity for Specmatic, which takes no headers but those of the document."""
    document = json.loads(subprocess.run([binary(), "spec", "bundle", collection], capture_output=True, check=True).stdout)
    operations = [(path, it) for path, item in document["paths"].items() for it in item.values() if "operationId" in it]

    def older(value):
        if isinstance(value, dict):
            return {key: older(it) for key, it in value.items() if key not in ("exclusiveMinimum", "exclusiveMaximum")}
        return [older(it) for it in value] if isinstance(value, list) else value

    (folder / "older.json").write_text(json.dumps(older(document)))
    for _, source in operations:
        if prefix := DATA["links"].get(source["operationId"]):
            parameter = f"path.{prefix.rsplit('{')[-1][:-1]}"
            links = {it["operationId"]: {"operationId": it["operationId"], "parameters": {parameter: "$response.body#/id"}}
                     for path, it in operations if path == prefix or path.startswith(prefix + "/")}
            for status in source["responses"]:
                if status.startswith("2"):
                    source["responses"][status]["links"] = links
    (folder / "linked.json").write_text(json.dumps(document))
    for operation in [it for _, it in operations if any("identity-verified" in guard for guard in it.get("x-guards", []))]:
        proof = {"name": "logto-verification-id", "in": "header", "required": True, "schema": {"type": "string", "enum": [record]}}
        operation["parameters"] = [*operation.get("parameters", []), proof]
    (folder / "proven.json").write_text(json.dumps(document))
    (folder / "schemathesis.toml").write_text(
        f'[auth.openapi.{"user" if collection == "account" else "management"}Token]\nbearer = "${{TOKEN}}"\n')
    (folder / "specmatic.yaml").write_text(
        'version: 2\nworkflow:\n  ids:\n    "POST /api/users -> 200": {extract: "BODY.id"}\n    "*": {use: "PATH.userId"}\n')


# --- the target

class Target(dict):
    """A reference of its own for one run, with one user whose token opens everything in the Account API."""

    def __init__(self, fault):
        command = [binary(), "serve", "--json"] + (["--fault", fault] if fault else [])
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        super().__init__(json.loads(self.process.stdout.readline()))

    def send(self, method, path, body=None, token=None, form=None, client=None):
        headers = {"authorization": f"Bearer {token}"} if token else {}
        if client:
            headers["authorization"] = "Basic " + base64.b64encode(":".join(client).encode()).decode()
        data = urllib.parse.urlencode(form).encode() if form else None if body is None else json.dumps(body).encode()
        headers["content-type"] = "application/x-www-form-urlencoded" if form else "application/json"
        request = urllib.request.Request(self["endpoint"] + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read() or "null")

    def machine_token(self):
        form = {"grant_type": "client_credentials", "resource": self["resource"], "scope": "all"}
        return self.send("POST", "/oidc/token", form=form, client=(self["client_id"], self["client_secret"]))["access_token"]

    def set_up(self):
        token = self["management"] = self.machine_token()
        self.send("PATCH", "/api/account-center", {"enabled": True, "fields": dict.fromkeys(FIELDS, "Edit")}, token)
        user = self.send("POST", "/api/users", {"username": "peer", "password": PASSWORD, "primaryEmail": "peer@example.com"}, token)
        application = self.send("POST", "/api/applications", {
            "name": "peer", "type": "Traditional", "oidcClientMetadata": {"redirectUris": [], "postLogoutRedirectUris": []},
            "customClientMetadata": {"allowTokenExchange": True}}, token)["id"]
        secret = self.send("GET", f"/api/applications/{application}/secrets", token=token)[0]["value"]
        subject = self.send("POST", "/api/subject-tokens", {"userId": user["id"]}, token)["subjectToken"]
        self["account"] = self.send("POST", "/oidc/token", client=(application, secret), form={
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token": subject, "scope": SCOPES,
            "subject_token_type": "urn:ietf:params:oauth:token-type:access_token"})["access_token"]
        proof = self.send("POST", "/api/verifications/password", {"password": PASSWORD}, self["account"])
        self["record"] = proof["verificationRecordId"]

    def stock(self):
        """What there is, by kind; nothing when the administrator's application is gone."""
        try:
            token, stock = self.machine_token(), {}
            for kind in KINDS:
                page, ids = 1, []
                while len(more := self.send("GET", f"/api/{kind}?page={page}&page_size=100", token=token)) > 0:
                    new = {it["id"] for it in more} - set(ids)
                    ids, page = ids + sorted(new), page + 1
                    if not new:  # a list without pages
                        break
                stock[kind] = ids
            for kind in ["account-center", "sign-in-exp"]:
                settings = self.send("GET", f"/api/{kind}", token=token)
                stock[f"settings of {kind}"] = [json.dumps(item) for item in sorted(settings.items())]
            return stock
        except urllib.error.HTTPError:
            return None

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(20)


# --- what a run says

def findings(name, folder):
    """Findings as texts `operation: what`, and how many requests were sent."""
    if name == OURS:
        report = json.loads((folder / "report.json").read_text())
        told = [f"{', '.join(it['operations'])}: {it['check']}, {it['cause']}" for it in report["findings"]]
        return told, report["summary"]["requests"]
    if name == "schemathesis":
        report = json.loads(next((folder / "reports").glob("json-*.json")).read_text())
        told = [f"{operation}: {it['title']}" for it in report["failures"] for operation in it["operations"]]
        return told, report["test_cases"]["generated"]
    if name == "openapi-fuzzer":
        told = []
        for file in sorted((folder / "results").glob("*.json")):
            result = json.loads(file.read_text())
            told.append(f"{result['method']} /{result['path']}: answers {file.stem.rsplit('-', 1)[1]}, which the document does not name")
        return told, sum(len(json.loads(file.read_text())["times"]) for file in (folder / "stats").glob("*.json"))
    cases = list(xml.parse(next((folder / "junit").glob("*.xml"))).getroot().iter("testcase"))
    told = set()
    for case in cases:
        for failure in case.findall("failure"):
            operation = re.search(r"Scenario: (\w+ \S+ -> \S+)", case.get("name"))
            sign = "invalid" if "-ve " in case.get("name") else "valid"
            reason = re.findall(r"expected status \w+ but response contained status \d+|[A-Z]\d{4,5}: .*", failure.text or "")
            told.add(f"{operation[1] if operation else case.get('name')}: {sign} request, {reason[-1] if reason else 'failed'}")
    return sorted(told), len(cases)


def run(name, collection, fault, seed):
    folder = RAW / "-".join(filter(None, [name, collection, fault, str(seed)]))
    subprocess.run(["rm", "-rf", folder], check=True)
    folder.mkdir(parents=True)
    target = Target(fault)
    row = {"tool": name, "collection": collection, "fault": fault, "seed": seed}
    try:
        if name != OURS:
            target.set_up()
            documents(collection, folder, target["record"])
        command, environment = tool(name, collection, seed, target)
        given = {path for path in folder.rglob("*") if path.is_file()}
        before, start = target.stock(), time.monotonic()
        with open(folder / "output.txt", "wb") as output:
            process = subprocess.Popen(list(map(str, command)), cwd=folder, env={**os.environ, **environment}, stdout=output,
                                       stderr=subprocess.STDOUT, start_new_session=True)
            try:
                row["exit"] = process.wait(SETTINGS["time-out"])
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                row["exit"] = "time-out"
        row["seconds"] = round(time.monotonic() - start, 2)
        row["findings"], row["requests"] = findings(name, folder)
        after = target.stock()
        row["residue"] = None if after is None else {
            kind: len(set(ids) ^ set(after[kind])) for kind, ids in before.items() if set(ids) != set(after[kind])}
        written = "\n".join(path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file() and path not in given)
        planted = {"client secret": "client_secret", "management token": "management", "user token": "account",
                   "verification record": "record"}
        leaks = [what for what, key in planted.items() if target.get(key, "\0") in written]
        row["leaks"] = leaks + ["password"] * (PASSWORD in written)
        row["issued"] = len(set(ISSUED.findall(written)) - {target.get("management"), target.get("account")})
    except (OSError, KeyError, ValueError, StopIteration, xml.ParseError) as error:
        row["error"] = repr(error)
    finally:
        target.stop()
    with open(RAW / "runs.jsonl", "a") as log:
        log.write(json.dumps(row) + "\n")
    print(name, collection or "", fault or "correct", seed, row.get("seconds"), len(row.get("findings", [])), row.get("error", ""), flush=True)
    return row


def rows():
    log = RAW / "runs.jsonl"
    known = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    return {(it["tool"], it["collection"], it["fault"], it["seed"]): it for it in known}


def once(name, collection, fault, seed):
    collection = None if name == OURS else collection
    return rows().get((name, collection, fault, seed)) or run(name, collection, fault, seed)


def usual(name, collection):
    """All that a tool says of the correct server, in any round."""
    return {it for (tool, of, fault, _), row in rows().items() for it in row.get("findings", [])
            if tool == name and of == (None if name == OURS else collection) and fault is None}


def new(name, collection, fault, seed):
    return set(once(name, collection, fault, seed).get("findings", [])) - usual(name, collection)


def kill(name, collection, fault):
    """What a tool says of this fault only; said again with another seed, but for us, who have confirmed it already."""
    said = new(name, collection, fault, 1)
    return sorted(said & new(name, collection, fault, 2) if said and name != OURS else said)


def measure():
    for seed in range(1, SETTINGS["rounds"] + 1):
        for name in NAMES[seed % 4:] + NAMES[:seed % 4]:
            for collection in COLLECTIONS if name != OURS else [None]:
                once(name, collection, None, seed)
    for fault, collection in DATA["faults"].items():
        for name in NAMES:
            kill(name, collection, fault)


# --- the page

def table(head, lines):
    return "\n".join("| " + " | ".join(str(it).replace("|", "\\|") for it in line) + " |" for line in [head, ["---"] * len(head), *lines])


def span(values, form="{:.0f}"):
    values = sorted(values)
    low, high = form.format(values[0]), form.format(values[-1])
    return form.format(statistics.median(values)) + ("" if low == high else f" ({low}–{high})")


def figures():
    known, seeds = rows(), range(1, SETTINGS["rounds"] + 1)
    kills = {name: {fault: kill(name, collection, fault) for fault, collection in DATA["faults"].items()} for name in NAMES}

    def totals(name, key):
        parts = [None] if name == OURS else COLLECTIONS
        return [[known[name, part, None, seed].get(key) for part in parts] for seed in seeds]

    def summed(name, key):
        return [sum(it) for it in totals(name, key)]

    def left(name):
        parts = [it for round_ in totals(name, "residue") for it in round_]
        objects = max(sum(count for kind, count in (it or {}).items() if "settings" not in kind) for it in parts)
        settings = max(sum(count // 2 for kind, count in (it or {}).items() if "settings" in kind) for it in parts)
        told = [f"{objects} objects"] * (objects > 0) + [f"{settings} settings"] * (settings > 0)
        return ", ".join(told + ["credentials that do not work any more"] * (None in parts)) or "none"

    def leaked(name):
        kinds = sorted({what for round_ in totals(name, "leaks") for part in round_ for what in part})
        issued = max(sum(it) for it in totals(name, "issued"))
        return ", ".join(kinds + ([f"{issued} tokens that the target issued"] if issued else [])) or "none"

    # Findings of the first round by what was made of them.
    judged = {name: collections.Counter() for name in NAMES}
    for name in NAMES:
        for text in sum(totals(name, "findings")[0], []):
            fits = (it for it in DATA["judged"] if it["tool"] == name and re.search(it["match"], text))
            judged[name][next(((it["what"], it["true"], it["why"]) for it in fits), (text, "?", "not looked at"))] += 1

    version = subprocess.run([binary(), "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]
    result = table(["", *NAMES], [
        ["version", version, *(VERSIONS[it] for it in NAMES[1:])],
        [f"faults killed, of {len(DATA['faults'])}", *(sum(map(bool, kills[it].values())) for it in NAMES)],
        ["findings on the correct server", *(span(map(len, [sum(r, []) for r in totals(it, "findings")])) for it in NAMES)],
        ["of these true, in the first", *(sum(n for it, n in judged[name].items() if it[1] == "yes") for name in NAMES)],
        ["requests", *(span(summed(it, "requests")) for it in NAMES)],
        ["seconds", *(span(summed(it, "seconds"), "{:.1f}") for it in NAMES)],
        ["requests per second", *(span([a / b for a, b in zip(summed(it, "requests"), summed(it, "seconds"))]) for it in NAMES)],
        ["left on the target", *map(left, NAMES)],
        ["secrets in what is written", *map(leaked, NAMES)],
    ])
    catalogue = (ROOT / "fixtures/faults.yaml").read_text()
    what = {it: re.search(rf"id: {it}, .*class: ([^,]+), layer: ([^,]+), .*what: \"(.*)\"", catalogue).groups() for it in DATA["faults"]}

    def mark(name, fault, collection):
        row = known[name, None if name == OURS else collection, fault, 1]
        failed = row["exit"] == "time-out" and "no end" or "error" in row and "no run"
        return failed or ("killed" if kills[name][fault] else "–")

    marks = [[f"`{it}`", *what[it][:2], *(mark(name, it, of) for name in NAMES)] for it, of in DATA["faults"].items()]
    result += "\n\n### Fault by fault\n\n" + table(["fault", "class", "layer", *NAMES], marks)
    result += "\n\nWhat the peers' kills said:\n\n" + "\n".join(
        f"- `{fault}`, {name}: {said[0]}" + (f" (and {len(said) - 1} more)" if len(said) > 1 else "")
        for name in NAMES[1:] for fault, said in kills[name].items() if said)
    lines = [[name, count, *it] for name in NAMES for it, count in judged[name].most_common()]
    result += "\n\n### Findings on the correct server\n\n" + table(["tool", "findings", "what", "departs from the contract", "why"], lines)
    page = ROOT / "docs/comparison.md"
    head, _, rest = page.read_text().partition("<!-- figures -->\n")
    tail = rest.partition("<!-- end of figures -->")[2]
    page.write_text(f"{head}<!-- figures -->\n{result}\n<!-- end of figures -->{tail}")


if __name__ == "__main__":
    RAW.mkdir(parents=True, exist_ok=True)
    if "--figures" not in sys.argv:
        install()
        measure()
    figures()
