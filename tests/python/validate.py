"""What AWS's own `cloudformation-validate` says of templates, but for remarks: nothing, where all is well.

    python tests/python/validate.py TEMPLATE …
"""

import sys

from cloudformation_validate import CompositeEngine


def main(paths):
    engine, said = CompositeEngine(), 0
    for path in paths:
        # Remarks name each property whose change would replace a resource, and each resource without tags.
        for finding in engine.validate_template(path).diagnostics:
            if finding.severity.name != "INFO":
                print(f"{path}: {finding.severity.name} {finding.rule_id}: {finding.message}")
                said += 1
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
