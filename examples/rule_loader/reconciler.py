"""ConfigMaps labelled `prometheus.io/rules: "true"`, of every namespace that lets us, become one that Prometheus reads.

Each key is a rule file, and promtool is its judge: a wrong one is left out, and harms no other. What was found in a
namespace that is revoked stays for a while, marked. Prometheus is told once for many changes, and after a crash too.
"""

from collections.abc import Iterable
from functools import partial

import aiohttp
import attrs

from scopedcache import GVK, Controller, Need, ObjectKey, Request, ResourceCache, Result, Watch
from scopedcache.kit import Checker, Setup, collect, create_or_update, in_each, new_object, tell_once
from scopedcache.predicates import by_name

CONFIG_MAP, NAMESPACE = GVK("", "v1", "ConfigMap"), GVK("", "v1", "Namespace")
OUTPUT, NEEDS = "prometheus-rules", [Need(CONFIG_MAP, selector={"prometheus.io/rules": "true"})]


@attrs.frozen
class RuleLoader:
    setup: Setup
    promtool: Checker

    async def reconcile(self, request: Request) -> Result:
        client, shown, options = self.setup.client, self.setup.cache.cluster, self.setup.options
        empty, names = new_object(CONFIG_MAP, *reversed(request.key)), [one.name for one in shown.list(NAMESPACE)]
        output, _ = await create_or_update(client, empty, lambda draft: None, read=shown.get)
        places = await in_each(self.setup.cache, output, NEEDS, names, self.rules_in)
        output, left = await collect(client, output, places.done, names, keep=options.keep_revoked)
        if options.reload_url:
            await tell_once(client, output, partial(reload, options.reload_url))
        served = {name.partition("_")[0] for name in output.at("data", default={})}
        places.among(served).record(self.setup.recorder, output)
        places.check()
        return Result(requeue_after=left)

    async def rules_in(self, scope: ResourceCache) -> dict[str, str]:
        """Return the files of a namespace that are right."""
        files = {}
        for source in scope.list(CONFIG_MAP):
            for name, text in source.at("data", default={}).items():
                if wrong := await self.promtool.complaint(text):
                    self.setup.warn(source, "BadRules", f"{name}: {wrong}")
                else:
                    files[f"{source.name}_{name}"] = text
        return files


async def reload(url: str) -> None:
    async with aiohttp.request("POST", url, raise_for_status=True):
        pass


def assemble(setup: Setup) -> Iterable[Controller]:
    output = ObjectKey(setup.namespace, OUTPUT)
    loader = RuleLoader(setup, Checker(setup.options.promtool, "check", "rules", "/dev/stdin"))
    yield Controller(for_=CONFIG_MAP, reconcile=loader, namespaces=output.namespace, predicates=[by_name(OUTPUT)],
                     always=[output], watches=[Watch(NAMESPACE, lambda _: [output])], settle=1, at_most=5)  # fmt: skip
