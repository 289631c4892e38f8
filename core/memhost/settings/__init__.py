"""Settings: what can be configured, and how it is read.

Plugin authors use `setting` and `Secret` in the settings structs of their specs.
"""

from memhost.settings.configuration import Configuration, SettingRow
from memhost.settings.extraction import ExtractionSettings, LlmSettings, NamespaceExtraction
from memhost.settings.fields import PLUGIN_KINDS, REDACTED, Secret, SectionTypes, setting
from memhost.settings.loading import export_options, export_provider_keys, load_configuration, peek
from memhost.settings.schema import MemorySettings, SearchSettings, ServerSettings, Settings

__all__ = [
    "PLUGIN_KINDS",
    "REDACTED",
    "Configuration",
    "ExtractionSettings",
    "LlmSettings",
    "MemorySettings",
    "NamespaceExtraction",
    "SearchSettings",
    "Secret",
    "SectionTypes",
    "ServerSettings",
    "SettingRow",
    "Settings",
    "export_options",
    "export_provider_keys",
    "load_configuration",
    "peek",
    "setting",
]
