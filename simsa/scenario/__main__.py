"""Print the JSON schema of scenario files: `python -m simsa.scenario > schema/scenario.schema.json`."""

import json

from simsa.scenario import json_schema

print(json.dumps(json_schema(), indent=2, sort_keys=True))
