//! Reads Caffe networks (.prototxt, .caffemodel) into the caribou graph
