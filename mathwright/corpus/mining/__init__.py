"""The loop of §2.1: seed, classifier, ranking, collection, until nothing new is found."""
