"""A request of each kind of model beside servers of other projects, with the same artefact."""
