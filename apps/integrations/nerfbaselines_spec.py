"""What nerfbaselines reads to find the method: NERFBASELINES_REGISTER names this file.

Made for nerfbaselines 1.2.12, run in its own process (`--backend python`).
"""

from nerfbaselines import register

register(
    {
        "id": "polyfield",
        "method_class": "polyfield.apps.integrations.nerfbaselines_method:PolyfieldMethod",
        "metadata": {
            "name": "polyfield",
            "description": "Neural fields that install with pip and train on a CPU",
            "licenses": [{"name": "Apache-2.0"}],
        },
        "implementation_status": {"blender": "working"},
    }
)
