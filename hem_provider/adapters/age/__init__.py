"""Files in the format of age (https://age-encryption.org/v1), whose keys are on a device or anybody's."""
