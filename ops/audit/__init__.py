"""The pinned requirements in; known vulnerabilities, a bill of materials and the licences out."""
