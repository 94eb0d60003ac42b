//! Reads TensorFlow graphs (frozen GraphDef, SavedModel) into the caribou graph
