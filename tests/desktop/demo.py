"""`make demo`: what the plugin does, done as a person does it, with a picture of each step."""

from desktop.demo_export import export_act
from desktop.demo_package import package_act
from desktop.demo_service import service_act
from desktop.demo_sites import sites_act


def steps(desktop):
    stage = yield from service_act(desktop)
    yield from package_act(desktop, stage)
    yield from export_act(desktop, stage)
    yield from sites_act(desktop, stage)
    desktop.say(f"Pictures of each step are in {desktop.folder.name}/")
